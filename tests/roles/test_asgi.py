"""WEB_SERVER=asgi: the project's ASGI application on a real gunicorn, with the stack's probes, limits and stop."""

import contextlib
import json
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.machine import patience
from tests.roles.sockets import Answer, head, pieces
from tests.roles.webs import MEBIBYTE, Own, own_web
from tests.waiting import best_of, wait_until

pytestmark = pytest.mark.xdist_group("asgi")
OPTIONS = {"WEB_SERVER": "asgi", "DJANGO_SETTINGS_MODULE": "asgi_settings"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    with own_web(tmp_path_factory.mktemp("web"), GUNICORN_CMD_ARGS="--worker-connections 100", **OPTIONS) as web:
        yield web


class Websocket(contextlib.AbstractContextManager[Any]):
    """A client of RFC 6455, as small as it gets."""

    def __init__(self, web: Own, **headers: str):
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
        self.sock = web.open(head("GET /ws", **upgrade, Sec_WebSocket_Key="MDEyMzQ1Njc4OWFiY2RlZg==", **headers))
        top = b""
        while not top.endswith(b"\r\n\r\n"):
            top += self.sock.recv(1)
        assert top.startswith(b"HTTP/1.1 101 "), top

    def __exit__(self, *_: Any) -> None:
        self.sock.close()

    def send(self, text: bytes, opcode: int = 1) -> None:
        self.sock.sendall(bytes([0x80 | opcode, 0x80 | len(text)]) + bytes(4) + text)

    def announce(self, size: int) -> None:
        """The head of a message of so many bytes."""
        self.sock.sendall(bytes([0x81, 0xFF]) + struct.pack("!Q", size) + bytes(4))

    def receive(self) -> tuple[int, bytes]:
        """An opcode and what came with it."""
        first, size = self._exactly(2)
        return first & 0x0F, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            assert piece, "the server has closed the connection"
            data += piece
        return data


def body_of(answer: Answer) -> Any:
    assert answer.status == 200, answer.raw
    return json.loads(answer.body)


def test_the_projects_application_is_served_with_the_stacks_addresses(web: Own) -> None:
    assert body_of(web.get("/slow?seconds=0.01")) == {"slow": True}
    assert body_of(web.get("/version"))["name"] == "django-celery-stack"
    assert body_of(web.get("/livez")) == {"status": "ok"}
    assert body_of(web.get("/readyz")) == {"status": "ok", "missing": []}
    foreign = web.ask(b"GET /readyz HTTP/1.1\r\nHost: not.ours\r\nConnection: close\r\n\r\n")
    assert foreign.status == 200, "a probe has no host name of ours to give"
    assert "lifespan.startup" in web.log()


def test_a_websocket_is_answered_and_knows_its_client(web: Own) -> None:
    with Websocket(web, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https") as client:
        client.send(b"hello")
        assert client.receive() == (1, b"203.0.113.9 wss hello")
        client.announce(7 * MEBIBYTE)
        opcode, reason = client.receive()
        assert (opcode, struct.unpack("!H", reason[:2])[0]) == (8, 1009), "too big: MAX_UPLOAD is 6"


def test_only_trusted_proxies_say_who_the_client_is(web: Own) -> None:
    said = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Proto": "https"}
    assert body_of(web.get("/sync", **said)) == {"client": "203.0.113.9", "secure": True}
    with socket.create_connection(("127.0.0.1", web.port), source_address=("127.0.0.2", 0)) as stranger:
        stranger.sendall(head("GET /sync", Connection="close", **said))
        assert body_of(web.read(stranger)) == {"client": "127.0.0.2", "secure": False}


def test_waiting_async_views_hold_up_nobody(web: Own) -> None:
    with web.stalled(60, head("GET /slow?seconds=3")) as waiting:
        wait_until(lambda: len(established(web, waiting)) == 60, 5)
        best_of(lambda: timed(lambda: body_of(web.get("/sync"))), patience(1))
        assert all(client.recv(100).startswith(b"HTTP/1.1 200") for client in waiting)


def test_files_are_streamed_and_static_ones_found(web: Own) -> None:
    with (Path(web.role.env["RUN_DIR"]) / "large").open("wb") as large:
        large.truncate(200 * MEBIBYTE)
    before = web.memory()
    with web.open(head("GET /file", Connection="close")) as client:
        got = 0
        while piece := client.recv(1 << 20):
            got += len(piece)
    assert got > 200 * MEBIBYTE
    assert web.memory() - before < 50
    style = web.get("/static/stack/app.css")
    assert (style.status, b"text/css" in style.raw) == (200, True)
    assert web.get("/static/stack/none.css").status == 404
    assert "Warning" not in web.log()


def timed(call: Any) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def test_bodies_have_the_limits_of_the_other_server(web: Own) -> None:
    body = b"a" * (5 * MEBIBYTE)
    assert body_of(web.post("/count", body[:100])) == {"bytes": 100}
    assert body_of(web.post("/count", body[: 2 * MEBIBYTE])) == {"bytes": 2 * MEBIBYTE}
    large = web.ask(head("POST /count", Content_Length=str(7 * MEBIBYTE)), b"")
    assert (large.status, large.error()) == (413, "too_large")
    chunked = web.ask(
        head("POST /count", Transfer_Encoding="chunked", Connection="close"), pieces(body + body, 100_000)
    )
    assert (chunked.status, chunked.error()) == (413, "too_large")
    wrong = web.ask(b"GET / HTTP/1.1\r\nHost: localhost\r\nbroken\r\n\r\n")
    assert (wrong.status, wrong.error()) == (400, "bad_request")
    assert b"broken" not in wrong.raw
    web.is_alive()


def test_idle_connections_make_room_for_new_ones(web: Own) -> None:
    with web.stalled(110, b"") as idle:
        web.is_alive()
        assert len(established(web, idle)) <= 100
        assert idle[0].recv(10) == b"", "the oldest goes first"


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_slow_clients_are_ended_and_hold_up_nobody(web: Own) -> None:
    with (
        web.stalled(20, b"GET / HTTP/1.1\r\nHost: loc") as heads,
        web.stalled(20, head("POST /count", Content_Length="100") + b"a") as bodies,
        web.stalled(5, head("GET /stream"), window=4096) as readers,
        web.stalled(5, b"") as silent,
    ):
        web.is_alive()
        for client in silent:
            assert client.recv(100) == b""
        assert {web.read(client).status for client in heads} == {408}
        for client in bodies:
            client.settimeout(patience(40))
        assert {web.read(client).status for client in bodies} == {408}
        web.is_alive()
        wait_until(lambda: not established(web, readers), 100, every=1)


def established(web: Own, clients: list[socket.socket]) -> list[str]:
    """Those of the clients' connections that the server still has."""
    ports = {f":{client.getsockname()[1]:04X}" for client in clients}
    lines = [line.split() for line in Path(f"/proc/{web.process()}/net/tcp").read_text().splitlines()[1:]]
    own = f":{web.port:04X}"
    return [row[2] for row in lines if row[1].endswith(own) and row[2][-5:] in ports and row[3] == "01"]


def test_a_redis_that_is_away_costs_a_request_nothing(tmp_path: Path) -> None:
    with own_web(tmp_path, **OPTIONS) as web:
        server = int(web.role.env["REDIS_URL"].rpartition(":")[2].partition("/")[0])
        pid = next(
            int(name)
            for name in os.listdir("/proc")
            if name.isdigit() and f":{server}" in _command(name) and "redis-server" in _command(name)
        )
        os.kill(pid, signal.SIGSTOP)
        try:
            web.get("/redis")
            seen = web.get("/redis")
            assert seen.status == 503
            best_of(lambda: float(json.loads(web.get("/redis").body)["took"]), 0.5)
            assert web.get("/livez").status == 200
            assert web.get("/readyz").status == 503
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: web.get("/readyz").status == 200, 20)


def _command(pid: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


@pytest.mark.slow
def test_a_stop_fails_no_request_and_takes_no_longer_than_it_must(tmp_path: Path) -> None:
    with (
        own_web(tmp_path, **OPTIONS) as web,
        web.open(head("GET /livez")) as idle,
        Websocket(web) as chat,
        Websocket(web) as mute,
    ):
        assert idle.recv(1000).startswith(b"HTTP/1.1 200")
        failed: list[str] = []
        done = threading.Event()

        def ask() -> None:
            """As a proxy does: over one connection, until it is closed between two requests."""
            with web.open() as client:
                while not done.is_set():
                    client.sendall(head("GET /sync?seconds=0.02"))
                    answer = client.recv(10_000)
                    if not answer.startswith(b"HTTP/1.1 200"):
                        failed.append(repr(answer))
                        return
                    if b"connection: close" in answer.lower():
                        return

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for each in askers:
            each.start()
        with web.open(head("GET /slow?seconds=4", Connection="close")) as slow:
            wait_until(lambda: established(web, [slow]), 5)
            begun = time.monotonic()
            web.role.process.terminate()
            opcode, reason = chat.receive()
            assert (opcode, struct.unpack("!H", reason[:2])[0]) == (8, 1012), "a client of a websocket may come again"
            chat.send(reason[:2], opcode=8)
            assert mute.receive()[0] == 8  # and says nothing
            assert body_of(web.read(slow)) == {"slow": True}
        for each in askers:
            each.join(patience(10))
        done.set()
        assert web.role.process.wait(20) == 0
        assert not failed
        assert time.monotonic() - begun < patience(8)
        assert idle.recv(100) == b""
        assert "lifespan.shutdown" in web.log()
        assert "Traceback" not in web.log()
