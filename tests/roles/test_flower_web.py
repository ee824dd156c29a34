"""Flower's HTTP: what it refuses before the password, and how often it lets somebody guess."""

import base64
import contextlib
import socket
from collections.abc import Iterator

import psutil
import pytest
import requests

from tests.roles.conftest import Redis, Role, free_port

AUTH = ("flower", "f" * 20)
pytestmark = pytest.mark.xdist_group("flower-web")


class Flower:
    def __init__(self, role: Role, port: int):
        self.role, self.port, self.url = role, port, f"http://127.0.0.1:{port}"

    def get(self, path: str, password: str | None = AUTH[1], **headers: str) -> requests.Response:
        auth = None if password is None else (AUTH[0], password)
        return requests.get(self.url + path, auth=auth, headers=headers, timeout=20)

    def connect(self, text: str = "") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 20)
        connection.sendall(text.encode())
        return connection

    @property
    def memory(self) -> int:
        return psutil.Process(self.role.process.pid).memory_info().rss


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    folder = tmp_path_factory.mktemp("flower")
    server, port = Redis(folder), free_port()
    role = Role("flower", server, folder, "flower", FLOWER_BIND=f"127.0.0.1:{port}")
    yield Flower(role.wait_ready(), port)
    role.end()
    server.stop()


@pytest.mark.parametrize("length", ["Content-Length: 97517568", "Transfer-Encoding: chunked"])
def test_a_large_body_is_refused_and_not_kept(flower: Flower, length: str) -> None:
    before = flower.memory
    # Three at a time, without the password, and none of them to its end.
    connections = [flower.connect(f"POST /api/task/revoke/x HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n") for _ in range(3)]
    piece = (b"10000\r\n" if "chunked" in length else b"") + b"x" * 65536 + (b"\r\n" if "chunked" in length else b"")
    for connection in connections:
        with contextlib.suppress(ConnectionError):  # it hung up before all was sent
            for _ in range(512):  # 32 MiB
                connection.sendall(piece)

    assert flower.memory - before < 16 * 1024 * 1024
    for connection in connections:
        with connection, contextlib.suppress(ConnectionError):
            answer = connection.recv(100)  # one that waits for more runs into the time limit
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert flower.get("/healthcheck").text == "OK"


def test_open_connections_are_bounded_and_a_new_one_is_served(flower: Flower) -> None:
    held = [flower.connect("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx") for _ in range(230)]

    assert flower.get("/healthcheck").text == "OK"
    assert len([each for each in psutil.Process(flower.role.process.pid).net_connections() if each.raddr]) < 220
    for connection in held:
        connection.close()


@pytest.mark.slow
def test_half_a_request_is_given_up_after_a_while(flower: Flower) -> None:
    held = [flower.connect(text) for text in ("GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")]
    for connection in held:
        with connection:
            connection.settimeout(40)
            assert connection.recv(100) in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n")


PAGES = ("/", "/tasks", "/api/workers", "/metrics", "/healthcheck", "/no-such-page", "/static/css/flower.css")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("password", [AUTH[1], None], ids=["known", "unknown"])
def test_every_answer_has_the_headers_that_a_browser_obeys(flower: Flower, path: str, password: str | None) -> None:
    headers = flower.get(path, password).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Server" not in headers
    assert path.startswith("/static/") or headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("proto", "secure"), [("https", True), ("https, http", True), ("http", False), ("", False)])
def test_no_script_and_no_other_site_uses_the_cookie(flower: Flower, proto: str, secure: bool) -> None:
    cookie = flower.get("/", **({"X-Forwarded-Proto": proto} if proto else {})).headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert ("Secure" in cookie) == secure


def test_a_guesser_has_to_wait_and_who_knows_the_password_has_not(flower: Flower) -> None:
    wrong = [flower.get("/api/workers", f"guess-{number}") for number in range(12)]

    assert [answer.status_code for answer in wrong[:10]] == [401] * 10
    assert [answer.status_code for answer in wrong[10:]] == [429] * 2
    assert 1 <= int(wrong[-1].headers["Retry-After"]) <= 60
    assert "Try again in" in wrong[-1].text
    # What is no password at all is a guess as well; a page that nobody has logged in to is none.
    odd = ("Basic !", "Basic", "Bearer x", "Basic " + base64.b64encode("flower:ä".encode()).decode(), "a b c")
    assert [flower.get("/metrics", None, Authorization=text).status_code for text in odd] == [429] * 5
    assert flower.get("/", None).status_code == 401
    assert [flower.get(path).status_code for path in ("/", "/api/workers", "/metrics")] == [200] * 3
    # Once a second at most, so that guesses cannot fill the log.
    assert 1 <= flower.role.log.read_text().count("wrong password for Flower from 127.0.0.1") <= 10


def test_an_address_in_a_header_is_not_believed(flower: Flower) -> None:
    token = base64.b64encode(b"flower:no").decode()
    for number in range(12):
        answer = flower.get("/", None, Authorization=f"Basic {token}", **{"X-Forwarded-For": f"10.0.0.{number}"})
    assert answer.status_code == 429
