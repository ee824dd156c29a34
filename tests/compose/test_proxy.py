"""Who the proxy believes: a TLS end of this host while its port is published on loopback, and nobody else."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.e2e.supervisor import free_ports
from tests.tls import PASSWORD, log_in, missing, raw, tls_end
from tests.waiting import wait_until

MODULES = Path(__file__).resolve().parents[1] / "roles" / "modules"
FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6;proto=https",
    "CF-Connecting-IP": "6.6.6.6",
}


@pytest.fixture(scope="module")
def site(stack: Compose, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The stack with an ordinary project's admin in its web, and TLS that ends in front of it on this host."""
    if why := missing():
        pytest.skip(why)
    more = stack.root / "admin.yaml"
    files = ["admin_settings.py", "admin_urls.py"]
    web = {
        "environment": {"DJANGO_SETTINGS_MODULE": "admin_settings", "LOG_LEVEL": "INFO"},
        "volumes": [f"{MODULES / name}:/srv/app/{name}:ro" for name in files],
    }
    more.write_text(json.dumps({"services": {"web": web}}))
    https, http = free_ports(2)
    stack.compose("-f", "compose.yaml", "-f", str(more), "up", "-d", "--no-deps", "--wait", "web")
    try:
        stack.found()
        stack.manage("migrate", "-v0")
        container, manage = stack.containers("web")[0], ["python", "app/manage.py"]
        create = [*manage, "createsuperuser", "--noinput", "--username=admin", "--email=a@b.cd"]
        made = stack.run("docker", "exec", "-e", f"DJANGO_SUPERUSER_PASSWORD={PASSWORD}", container, *create)
        assert made.returncode == 0, made.stderr
        folder = tmp_path_factory.mktemp("tls")
        with tls_end(folder, stack.base_url.partition("//")[2], https, http) as session:
            yield SimpleNamespace(session=session, url=f"https://localhost:{https}")
    finally:
        more.unlink()
        stack.compose("up", "-d", "--no-deps", "--wait", "web")
        stack.found()


def test_an_admin_logs_in_through_tls_before_the_proxy(site: SimpleNamespace) -> None:
    answer = log_in(site.session, site.url)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/"), answer.text
    assert "Secure" in answer.headers["Set-Cookie"]


def test_the_page_s_own_posts_pass_through_tls_before_the_proxy(site: SimpleNamespace) -> None:
    answer = site.session.post(
        f"{site.url}/api/tasks/add", json={"args": [1, 2]}, headers={"Origin": site.url}, timeout=20
    )

    assert answer.status_code == 202, answer.text


def test_the_host_s_own_proxy_says_who_its_client_is(site: SimpleNamespace, stack: Compose) -> None:
    said = requests.get(f"{stack.base_url}/seen", headers={"X-Forwarded-For": "203.0.113.7"}, timeout=20).json()
    assert (said["address"], said["secure"]) == ("203.0.113.7", False)

    through = site.session.get(f"{site.url}/seen", timeout=20).json()
    assert (through["address"], through["secure"], through["url"]) == ("127.0.0.1", True, f"{site.url}/seen")


def asked(stack: Compose, container: str, service: str, port: int) -> dict[str, Any]:
    """What a view sees of a request with forged headers that comes from a container."""
    headers = json.dumps(FORGED | {"Host": "localhost"})
    script = (
        f"import urllib.request as u; "
        f"print(u.urlopen(u.Request('http://{service}:{port}/seen', headers={headers})).read().decode())"
    )
    done = stack.run("docker", "exec", container, "python", "-c", script)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_from_elsewhere_in_its_network_the_proxy_believes_nobody(site: SimpleNamespace, stack: Compose) -> None:
    web = stack.containers("web")[0]
    address = stack.inspect(web)["NetworkSettings"]["Networks"][f"{stack.project}_front"]["IPAddress"]
    seen = asked(stack, web, "proxy", 8080)

    assert (seen["address"], seen["secure"]) == (address, False)
    assert "6.6.6.6" not in str(seen)


def test_the_web_believes_nobody_of_another_network(site: SimpleNamespace, stack: Compose) -> None:
    seen = asked(stack, stack.containers("worker")[0], "web", 8000)

    assert not seen["secure"]
    assert "6.6.6.6" not in str(seen)


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"])
def test_published_for_others_the_proxy_believes_only_who_is_named(
    site: SimpleNamespace, stack: Compose, trusted: str
) -> None:
    """As a second proxy of the same image, since the port of the stack's own must stay."""
    (number,) = free_ports(1)
    variables = ["-e", f"WEB_BIND=0.0.0.0:{number}", "-e", f"TRUSTED_PROXIES={trusted}"]
    container = stack.compose("run", "-d", "--no-deps", *variables, "-p", f"127.0.0.1:{number}:8080", "proxy").split()[
        -1
    ]
    try:

        def seen() -> dict[str, Any]:
            answer = requests.get(f"http://127.0.0.1:{number}/seen", headers=FORGED, timeout=10)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        told = wait_until(seen, 20)
    finally:
        stack.run("docker", "rm", "--force", container)

    assert told["secure"] is bool(trusted)
    assert (told["address"] == "6.6.6.6") is bool(trusted)
    assert trusted or "6.6.6.6" not in str(told)


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /x", "X_FORWARDED_PROTO: https", "x_forwarded_for: 6.6.6.6"])
def test_no_name_with_an_underscore_reaches_a_web(stack: Compose, header: str) -> None:
    name, _, value = header.partition(": ")

    assert Client(stack.base_url).get("/x/api/tasks", headers={name: value}).status_code == 404


def port(stack: Compose) -> int:
    return int(stack.base_url.rpartition(":")[2])


@pytest.mark.parametrize(
    "request_",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    ],
    ids=["prior knowledge", "upgrade"],
)
def test_nobody_gets_http_2_without_tls(stack: Compose, request_: bytes) -> None:
    answer = raw(port(stack), request_)

    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 200 ")), answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("lines", [1, 20])
def test_a_head_of_20_kb_is_refused_in_the_shape_of_errors(stack: Compose, lines: int) -> None:
    headers = {f"X-Large-{number}": "a" * (20_000 // lines) for number in range(lines)}

    Client(stack.base_url).error(Client(stack.base_url).get("/api/tasks", headers=headers), 431)


def test_a_head_and_a_body_that_never_end_are_cut_off(stack: Compose) -> None:
    """Both at once: it is their ten seconds that are waited for."""
    begun = [
        b"GET /livez HTTP/1.1\r\nHost: ",
        b"POST /api/tasks/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n[",
    ]
    connections = [socket.create_connection(("127.0.0.1", port(stack)), 30) for _ in begun]
    try:
        for connection, text in zip(connections, begun, strict=True):
            connection.sendall(text)
        answers = [connection.recv(65536) for connection in connections]
    finally:
        for connection in connections:
            connection.close()

    assert [answer.split(b" ")[1] for answer in answers] == [b"408", b"408"]
    assert b'{"error":{"code":"too_slow"' in answers[1]


def test_the_proxy_s_log_holds_nothing_that_a_client_sent(stack: Compose) -> None:
    Client(stack.base_url).get("/version?token=hidden%0aforged", headers={"User-Agent": "forged"})
    raw(port(stack), b"GET /forged#hidden HTTP/1.1\r\nHost: forged\r\n\r\n")

    log = stack.logs("proxy")
    assert "hidden" not in log
    assert "forged" not in log


def test_a_wrong_proxy_in_the_environment_stops_the_web_by_name(stack: Compose) -> None:
    done = stack.run("docker", "compose", "run", "--rm", "-T", "--no-deps", "-e", "TRUSTED_PROXIES=proxy", "web", "web")

    assert done.returncode != 0
    assert "TRUSTED_PROXIES" in done.stdout + done.stderr
