"""What a request says of its client, through the real settings: believed from TRUSTED_PROXIES, and else gone."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from ipware import get_client_ip

from stack.http.proxies import OF_PROXIES, TrustedProxies
from stack.runtime.env import BadValue, get
from stack.runtime.networks import networks

PROJECT = Path(__file__).resolve().parents[2]
TRUSTED = "127.0.0.1,10.0.0.0/8,fd00::/8"


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.ENV, "TRUSTED_PROXIES", TRUSTED)


def seen(peer: str, **headers: str) -> HttpRequest:
    """The request as everything behind the first middleware sees it."""
    found: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        found.append(request)
        return HttpResponse()

    meta: dict[str, Any] = {"REMOTE_ADDR": peer, "HTTP_HOST": "localhost"} | {
        f"HTTP_{name}": value for name, value in headers.items()
    }
    TrustedProxies(view)(RequestFactory().get("/", **meta))
    return found[0]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        # From a stranger: only where it comes from.
        ("203.0.113.9", "8.8.8.8", "203.0.113.9"),
        ("203.0.113.9", "127.0.0.1", "203.0.113.9"),
        ("2001:db8::9", "8.8.8.8", "2001:db8::9"),
        ("", "8.8.8.8", ""),
        # From a proxy: the right-most that is none of ours.
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.1.2.3", "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("10.1.2.3", "6.6.6.6, 203.0.113.7, 10.9.9.9", "203.0.113.7"),
        ("10.1.2.3", "127.0.0.1,6.6.6.6,203.0.113.7,10.9.9.9,127.0.0.1", "203.0.113.7"),
        ("::ffff:10.1.2.3", "203.0.113.7", "203.0.113.7"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        # As some write it.
        ("127.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("127.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("127.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        ("127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        # All of them ours: the one that is farthest from here.
        ("127.0.0.1", "10.0.0.7, 10.0.0.8", "10.0.0.7"),
        ("10.1.2.3", "", "10.1.2.3"),
        # What is no address, and what stands left of it, is nobody's word.
        ("127.0.0.1", "6.6.6.6, unknown", "127.0.0.1"),
        ("127.0.0.1", "6.6.6.6, garbage, 10.0.0.8", "10.0.0.8"),
        ("127.0.0.1", "203.0.113.7\n{}", "127.0.0.1"),
        ("127.0.0.1", "[::1]x", "127.0.0.1"),
        ("127.0.0.1", "1.2.3.4:x", "127.0.0.1"),
        ("127.0.0.1", "1.2.3.4, ", "127.0.0.1"),
        ("127.0.0.1", "fe80::1%<b>", "fe80::1"),
        ("127.0.0.1", "0x7f.1", "127.0.0.1"),
    ],
)
def test_the_client_is_the_right_most_that_is_no_proxy(peer: str, forwarded_for: str, client: str) -> None:
    request = seen(peer, X_FORWARDED_FOR=forwarded_for, X_REAL_IP="6.6.6.6", FORWARDED="for=6.6.6.6;proto=https")

    assert request.META["REMOTE_ADDR"] == client
    # What the log asks, and what recipes read in its place.
    assert get_client_ip(request)[0] == (client or None)
    assert "6.6.6.6" not in str(request.META)
    for name in ("X-Forwarded-For", "X-Real-IP"):
        assert request.headers.get(name, client) == client


@pytest.mark.parametrize(
    ("peer", "said", "secure"),
    [
        ("203.0.113.9", "https", False),
        ("127.0.0.1", "https", True),
        ("127.0.0.1", "HTTPS", True),
        ("127.0.0.1", "https, https", True),
        ("127.0.0.1", "http", False),
        ("127.0.0.1", "https,http", False),
        ("127.0.0.1", "http,https", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "https://", False),
    ],
)
def test_tls_is_what_a_trusted_proxy_says_and_all_of_them_say(peer: str, said: str, secure: bool) -> None:
    request = seen(peer, X_FORWARDED_PROTO=said)

    assert request.is_secure() is secure
    assert request.build_absolute_uri("/").startswith("https:" if secure else "http:")


def test_from_a_stranger_no_header_of_a_proxy_is_left() -> None:
    names = [name.upper().replace("-", "_") for name in OF_PROXIES]
    names += ["X_FORWARDED_HOST", "X_FORWARDED_PORT", "X_FORWARDED_SSL", "X_FORWARDED_PROTOCOL", "X_FORWARDED_PREFIX"]

    assert not {f"HTTP_{name}" for name in names} & seen("203.0.113.9", **dict.fromkeys(names, "x")).META.keys()


@pytest.mark.parametrize(("peer", "host"), [("203.0.113.9", "localhost"), ("127.0.0.1", "shop.example.com")])
def test_a_project_that_reads_the_forwarded_host_gets_a_trusted_one(peer: str, host: str) -> None:
    with override_settings(USE_X_FORWARDED_HOST=True, ALLOWED_HOSTS=["localhost", "shop.example.com"]):
        assert seen(peer, X_FORWARDED_HOST="shop.example.com").get_host() == host


def test_it_comes_before_all_that_could_look() -> None:
    assert settings.MIDDLEWARE[0] == "stack.http.proxies.TrustedProxies"


@pytest.mark.parametrize("value", ["*", "proxy", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8 10.1.1.1", "1", ","])
def test_what_is_no_network_stops_the_start_by_its_name(value: str) -> None:
    with pytest.raises(BadValue, match="TRUSTED_PROXIES"):
        get("TRUSTED_PROXIES", {"TRUSTED_PROXIES": value})


ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth1 000013AC 00000000 0001 0 0 0 0000FFFF 0 0 0
eth0 00000000 010012AC 0003 0 0 0 00000000 0 0 0
eth0 000012AC 00000000 0001 0 0 0 0000FFFF 0 0 0
"""


def test_network_is_that_of_the_default_route(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTES)

    assert list(map(str, networks(["network", "::1"], str(tmp_path / "route")))) == ["172.18.0.0/16", "::1/128"]


def test_network_without_a_default_route_is_refused(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTES.replace("010012AC", "00000000"))

    for path in ("route", "no such file"):
        with pytest.raises(ValueError, match="default route"):
            networks(["network"], str(tmp_path / path))


@pytest.mark.parametrize("file", ["docker/haproxy.cfg", "deploy/haproxy.cfg"])
def test_our_proxies_drop_the_names_that_the_web_role_drops(file: str) -> None:
    (names,) = re.findall(r"http-request del-header \^\((.*)\) -m reg", (PROJECT / file).read_text())

    assert tuple(names.split("|")) == OF_PROXIES


def test_both_of_our_proxies_have_the_same_rules_for_all_requests() -> None:
    texts = [(PROJECT / file).read_text() for file in ("docker/haproxy.cfg", "deploy/haproxy.cfg")]
    wanted = ("http-error", "timeout", "option http", "http-request return", "tune.")
    lines = [{line.strip() for line in text.splitlines() if line.strip().startswith(wanted)} for text in texts]
    lines = [{line for line in found if not line.startswith(("timeout resolve", "timeout retry"))} for found in lines]

    assert lines[0] == lines[1]
    assert len(lines[0]) > 20
