"""Which pages may make a call that changes something: the page's own, by scheme, host and port, and those named."""

from typing import Any

import pytest
from django.test import RequestFactory, override_settings

from stack.http.origins import objection


def judged(origin: str | None, host: str = "shop.example", secure: bool = False, **headers: str) -> str | None:
    given = {"host": host, **headers, **({"origin": origin} if origin is not None else {})}
    with override_settings(ALLOWED_HOSTS=["*"]):
        return objection(RequestFactory(headers=given).post("/", secure=secure))


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("http://shop.example", "shop.example", False),
        ("http://shop.example:80", "shop.example", False),
        ("http://shop.example", "shop.example:80", False),
        ("https://shop.example", "shop.example:443", True),
        ("https://SHOP.example", "shop.EXAMPLE", True),
        ("http://shop.example:8000", "shop.example:8000", False),
        ("http://[::1]:8000", "[::1]:8000", False),
        (None, "shop.example", True),
    ],
)
def test_the_own_page_and_programs_are_taken(origin: str | None, host: str, secure: bool) -> None:
    assert judged(origin, host, secure) is None


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("http://shop.example", "shop.example", True),
        ("https://shop.example", "shop.example", False),
        ("http://shop.example:8001", "shop.example:8000", False),
        ("http://shop.example:443", "shop.example", True),
        ("http://shop.example", "shop.example:8000", False),
        ("http://other.example", "shop.example", False),
        ("http://a.shop.example", "shop.example", False),
        ("http://shop.example.evil.example", "shop.example", False),
        ("null", "shop.example", False),
        ("", "shop.example", False),
        ("shop.example", "shop.example", False),
        ("//shop.example", "shop.example", False),
        ("http://", "shop.example", False),
        ("http://[", "shop.example", False),
        ("http://shop.example:x", "shop.example", False),
        ("http://shop.example@evil.example", "shop.example", False),
        ("http://evil@shop.example", "shop.example", False),
        ("http://shop.example/path", "shop.example", False),
        ("http://shop.example?x", "shop.example", False),
        ("http://shop.example,http://evil.example", "shop.example", False),
        ("http://evil.example, http://shop.example", "shop.example", False),
        ("http://shop.example http://evil.example", "shop.example", False),
        ("http://sh\top.example", "shop.example", False),
        ("ftp://shop.example", "shop.example", False),
    ],
)
def test_any_other_scheme_host_or_port_is_refused(origin: str, host: str, secure: bool) -> None:
    assert judged(origin, host, secure)


def test_the_message_names_the_fix() -> None:
    assert "TRUSTED_PROXIES" in (judged("https://shop.example") or "")
    assert "CSRF_TRUSTED_ORIGINS" in (judged("https://shop.example") or "")
    foreign = judged("https://other.example") or ""
    assert "https://other.example" in foreign
    assert "CSRF_TRUSTED_ORIGINS" in foreign
    assert "TRUSTED_PROXIES" not in foreign


@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        ("https://one.example", True),
        ("https://one.example:443", True),
        ("http://one.example", False),
        ("https://one.example:8443", False),
        ("https://a.wild.example", True),
        ("https://a.b.wild.example", True),
        ("https://wild.example", True),  # as Django reads it
        ("https://evilwild.example", False),
        ("http://a.wild.example", False),
        ("https://a.wild.example:8443", False),
        ("https://a.ports.example:8443", True),
        ("https://a.ports.example", False),
        ("null", False),
    ],
)
def test_trusted_origins_are_read_as_django_reads_them(origin: str, taken: bool) -> None:
    entries = ["https://one.example", "https://*.wild.example", "https://*.ports.example:8443"]
    with override_settings(CSRF_TRUSTED_ORIGINS=entries):
        assert (judged(origin) is None) == taken


@pytest.mark.parametrize(
    ("site", "taken"), [("cross-site", False), ("same-site", False), ("same-origin", True), ("none", True)]
)
def test_a_browsers_call_without_an_origin_is_judged_by_its_site(site: str, taken: bool) -> None:
    headers: dict[str, Any] = {"sec-fetch-site": site}
    assert (judged(None, **headers) is None) == taken
    with override_settings(CSRF_TRUSTED_ORIGINS=["https://other.example"]):
        assert judged("https://other.example", **headers) is None
