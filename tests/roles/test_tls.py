"""TLS ends in HAProxy, as deploy/vm.md describes it, in front of a project that has never heard of a proxy."""

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import requests

from tests.e2e.client import lines_of
from tests.roles.conftest import PROJECT, Redis, Role, free_port
from tests.tls import PASSWORD, log_in, missing, raw, tls_end

pytestmark = pytest.mark.xdist_group("tls")

FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6;proto=http",
    "CF-Connecting-IP": "6.6.6.6",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A web that trusts its HAProxy, one that does not, and the HAProxy in front of the first."""
    if why := missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("tls")
    https, http, web, other = (free_port() for _ in range(4))
    server = Redis(folder)
    variables = {"DJANGO_SETTINGS_MODULE": "admin_settings", "WEB_WORKERS": "1", "API_TOKEN": "t" * 20}
    roles = []
    try:
        of_nobody = {"WEB_BIND": f"127.0.0.1:{other}", "TRUSTED_PROXIES": "192.0.2.1"}
        roles.append(Role("web", server, folder, "web", WEB_BIND=f"127.0.0.1:{web}", **variables))
        roles.append(Role("web", server, folder, "web-2", **variables, **of_nobody))
        manage = [sys.executable, str(PROJECT / "app/manage.py")]
        for command in (["migrate", "-v0"], ["createsuperuser", "--noinput", "--username=admin", "--email=a@b.cd"]):
            env = roles[0].env | {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
            subprocess.run([*manage, *command], env=env, check=True, timeout=100)
        for role in roles:
            role.wait_ready()
        with tls_end(folder, f"127.0.0.1:{web}", https, http) as session:
            yield SimpleNamespace(
                session=session, url=f"https://localhost:{https}", http=http, distrustful=f"http://127.0.0.1:{other}",
                direct=f"http://127.0.0.1:{web}",
                haproxy=folder / "haproxy.log", log=roles[0].log,
            )  # fmt: skip
    finally:
        for role in roles:
            role.end()
        server.stop()


def test_an_admin_logs_in_through_tls(site: SimpleNamespace) -> None:
    answer = log_in(site.session, site.url, **FORGED)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/"), answer.text
    assert "Secure" in answer.headers["Set-Cookie"]
    cookies = {"sessionid": answer.cookies["sessionid"]}
    assert "Log out" in site.session.get(f"{site.url}/admin/", cookies=cookies, timeout=20).text


def test_without_trust_in_the_proxy_the_same_login_fails(site: SimpleNamespace) -> None:
    """As a browser sends it through a proxy that keeps the host's name, but from a peer that is none."""
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    with requests.Session() as session:
        answers = [
            log_in(session, site.direct, Origin=site.direct.replace("http:", "https:"), **said),
            log_in(session, site.distrustful, Origin=site.distrustful.replace("http:", "https:"), **said),
        ]

    assert [answer.status_code for answer in answers] == [302, 403]
    assert "CSRF verification failed" in answers[1].text


def test_the_page_s_own_posts_pass_through_tls(site: SimpleNamespace) -> None:
    headers = {"Authorization": f"Bearer {'t' * 20}", "Origin": site.url, **FORGED}
    answer = site.session.post(f"{site.url}/api/tasks/add", json={"args": [1, 2]}, headers=headers, timeout=20)

    assert answer.status_code == 202, answer.text


def test_what_a_client_says_in_a_proxy_s_words_reaches_nobody(site: SimpleNamespace) -> None:
    seen = site.session.get(f"{site.url}/seen", headers=FORGED | {"X_Forwarded_For": "6.6.6.6"}, timeout=20).json()

    assert (seen["address"], seen["secure"]) == ("127.0.0.1", True)
    assert seen["url"] == f"{site.url}/seen"
    assert "6.6.6.6" not in str(seen)
    assert "evil.example" not in str(seen)
    assert "6.6.6.6" not in site.log.read_text()


def test_the_line_of_a_changed_schedule_names_the_client(site: SimpleNamespace) -> None:
    token = {"Authorization": f"Bearer {'t' * 20}"}
    for url, name in ((site.url, "through"), (site.direct, "direct")):
        said = FORGED | {"X-Forwarded-For": "6.6.6.6, 203.0.113.7"} | token
        body = {"task": "ping", "every": 3600, "enabled": False}
        made = site.session.put(f"{url}/api/schedules/{name}", json=body, headers=said, timeout=20)
        assert made.status_code == 201, made.text

    lines = lines_of(site.log.read_text(), "^schedule changed$")
    assert {line["schedule"]: line["ip"] for line in lines} == {"through": "127.0.0.1", "direct": "203.0.113.7"}


def test_a_web_that_trusts_nobody_shows_its_peer_and_no_header(site: SimpleNamespace) -> None:
    seen = requests.get(f"{site.distrustful}/seen", headers=FORGED | {"X-Forwarded-Proto": "https"}, timeout=20).json()

    assert (seen["address"], seen["secure"]) == ("127.0.0.1", False)
    assert not {name.lower() for name in FORGED} & seen["headers"].keys()


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /x", "Script_Name: /x", "X_FORWARDED_PROTO: https"])
def test_no_name_with_an_underscore_passes_the_proxy(site: SimpleNamespace, header: str) -> None:
    name, _, value = header.partition(": ")
    answer = site.session.get(f"{site.url}/x/api/tasks", headers={name: value}, timeout=20)

    assert answer.status_code == 404, answer.text


def test_without_tls_there_is_a_redirect_and_no_http_2(site: SimpleNamespace) -> None:
    answer = raw(site.http, b"GET /admin/?a=b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 308 ")
    assert b"location: https://localhost/admin/?a=b\r\n" in answer

    refused = raw(site.http, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    assert refused.startswith(b"HTTP/1.1 400 "), refused  # HTTP/2 would answer with a frame


@pytest.mark.parametrize("lines", [1, 20])
def test_a_head_of_20_kb_is_refused_in_the_shape_of_errors(site: SimpleNamespace, lines: int) -> None:
    headers = {f"X-Large-{number}": "a" * (20_000 // lines) for number in range(lines)}
    answer = site.session.get(f"{site.url}/api/tasks", headers=headers, timeout=20)

    assert answer.status_code == 431
    assert set(answer.json()["error"]) == {"code", "message"}


def test_haproxy_s_log_holds_nothing_that_a_client_sent(site: SimpleNamespace) -> None:
    hostile = "/seen?token=hidden%0aforged"
    site.session.get(site.url + hostile, headers={"User-Agent": "forged"}, timeout=20)
    raw(site.http, b"GET /forged#hidden HTTP/1.1\r\nHost: forged\r\n\r\n")

    log = site.haproxy.read_text()
    assert "hidden" not in log
    assert "forged" not in log
