"""The web's circuit breaker, on real connections to a server that listens and says nothing."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.broker import breaker

PONG = b"+PONG\r\n"
APP = Path(__file__).resolve().parents[2] / "app"


class Server:
    """Takes connections; answers PONG to everything, or nothing at all, or nothing on the first `forgotten` of them."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.silent, self.taken, self.forgotten = False, 0, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                conversation, _ = self.listener.accept()
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._talk, args=[conversation], daemon=True).start()

    def _talk(self, conversation: socket.socket) -> None:
        number = self.taken
        with conversation:
            while conversation.recv(65536):
                if not self.silent and number > self.forgotten:
                    conversation.sendall(PONG)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(breaker, "_breaker", breaker.Breaker(pause=60))
    server = Server()
    yield server
    server.listener.close()


def client(port: int) -> redis.Redis:
    pool = redis.ConnectionPool(
        connection_class=breaker.Connection,
        host="127.0.0.1",
        port=port,
        protocol=2,
        driver_info=None,
        retry=Retry(NoBackoff(), 2, (redis.ConnectionError,)),
        socket_timeout=1.5,
        socket_connect_timeout=1.5,
    )
    return redis.Redis(connection_pool=pool)


def how(asked: redis.Redis) -> str:
    """How one PING ends: "pong", "waited" or "refused"."""
    try:
        asked.ping()
    except redis.TimeoutError:
        return "waited"
    except redis.ConnectionError as error:
        return "refused" if "a moment ago" in str(error) else str(error)
    return "pong"


def pause_over() -> None:
    breaker._breaker._next_try = 0.0


def test_one_call_waits_for_a_server_that_hangs_and_the_rest_fail_at_once(server: Server) -> None:
    asked = client(server.port)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(how, [asked] * 8)) == {"pong"}
        server.silent = True
        assert how(asked) == "waited"

        # Over connections that stand and over new ones: `taken` would grow.
        taken = server.taken
        assert [how(asked) for _ in range(20)] == ["refused"] * 20
        pause_over()
        assert sorted(pool.map(how, [asked] * 8)) == ["refused"] * 7 + ["waited"]
        assert server.taken <= taken + 1


def test_an_answer_lets_all_through_again_over_connections_that_broke_too(server: Server) -> None:
    asked = client(server.port)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(how, [asked] * 8)) == {"pong"}
        server.silent = True
        assert how(asked) == "waited"
        server.silent = False
        pause_over()

        assert how(asked) == "pong"
        assert set(pool.map(how, [asked] * 8)) == {"pong"}


def test_a_failure_of_long_ago_lets_all_through_at_once(server: Server) -> None:
    asked = client(server.port)
    server.silent = True
    assert how(asked) == "waited"
    server.silent = False
    pause_over()

    breaker._breaker.forget = 0.0
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(how, [asked] * 8)) == {"pong"}


def test_one_connection_that_went_silent_costs_one_try_of_the_pool(server: Server) -> None:
    asked = client(server.port)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(how, [asked] * 8)) == {"pong"}
        server.forgotten = server.taken
        assert how(asked) == "waited"
        pause_over()

        assert how(asked) == "pong"
        assert set(pool.map(how, [asked] * 8)) == {"pong"}


def test_a_refused_connection_is_tried_once_for_this_call_and_the_next(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def connect(connection: redis.Connection) -> socket.socket:
        tried.append(connection)
        raise ConnectionRefusedError

    # By itself redis-py tries each call three times.
    monkeypatch.setattr(redis.Connection, "_connect", connect)
    asked = client(server.port)
    assert [how(asked) for _ in range(5)] == ["refused"] * 5
    assert len(tried) == 1


@pytest.mark.parametrize(("url", "kind"), [("redis://h", breaker.Connection), ("rediss://h", breaker.SSLConnection)])
def test_the_kind_of_connection_follows_the_address(url: str, kind: type) -> None:
    assert breaker.connection_class(url) is kind


def test_the_webs_broker_connections_are_the_guarded_ones() -> None:
    code = "import stack.celery; from kombu.transport.redis import Channel; print(Channel.connection_class.__module__)"
    env = os.environ | {"PYTHONPATH": str(APP), "SERVICE_ROLE": "web"}
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "stack.broker.breaker", ran.stderr


def test_a_connection_of_the_oldest_redis_py_that_is_allowed_is_guarded(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in redis.connection.AbstractConnection.__mro__:  # redis-py 6.4 has no such word
        monkeypatch.delattr(each, "is_connected", raising=False)

    connection = breaker.Connection(host="127.0.0.1", port=server.port, protocol=2)
    connection.connect()
    connection.connect()
    assert server.taken == 1
