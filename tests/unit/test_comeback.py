"""Who sends a task waits for a Redis that refuses connections; on real connections to a server that comes up late."""

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.broker import breaker, comeback
from stack.runtime.threads import THREADS
from tests.waiting import wait_until

WITHIN = 2.0


class Late:
    """An address that refuses connections until `come`; then it says `first`, and PONG once that is empty."""

    def __init__(self) -> None:
        self.port = 0
        self._bind()
        self.first: list[bytes] = []
        self.silent, self.asked = False, 0

    def come(self, after: float = 0.0) -> None:
        if after:
            threading.Timer(after, self._serve).start()
        else:
            self._serve()

    def go(self) -> None:
        """Refuse connections again, at the same address."""
        with contextlib.suppress(OSError):  # it never came
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._bind()

    def _bind(self) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.port = self.socket.getsockname()[1]

    def _serve(self) -> None:
        self.socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                conversation, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=[conversation], daemon=True).start()

    def _talk(self, conversation: socket.socket) -> None:
        with conversation:
            while conversation.recv(65536):
                self.asked += 1
                if not self.silent:
                    conversation.sendall(self.first.pop(0) if self.first else b"+PONG\r\n")

    def client(self, host: str = "127.0.0.1") -> redis.Redis:
        pool = redis.ConnectionPool(
            connection_class=breaker.Connection,
            host=host,
            port=self.port,
            protocol=2,
            driver_info=None,
            retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
            socket_timeout=1,
            socket_connect_timeout=1,
        )
        return redis.Redis(connection_pool=pool)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Iterator[Late]:
    monkeypatch.setattr(breaker, "_breaker", breaker.Breaker())
    server = Late()
    yield server
    server.go()
    server.socket.close()


def took(client: redis.Redis, fails: bool = False) -> float:
    """Seconds that a PING of somebody who sends a task takes."""
    begun = time.monotonic()
    with comeback.sending():
        if fails:
            with pytest.raises(redis.RedisError):
                client.ping()
        else:
            assert client.ping()
    return time.monotonic() - begun


def test_who_sends_a_task_waits_until_redis_is_there(late: Late) -> None:
    late.come(after=0.4)
    assert 0.4 < took(late.client()) < WITHIN


def test_who_does_not_send_is_refused_at_once(late: Late) -> None:
    begun = time.monotonic()
    with pytest.raises(redis.ConnectionError):
        late.client().ping()
    assert time.monotonic() - begun < 0.4


def test_a_redis_that_was_there_all_the_time_is_asked_nothing_more(late: Late) -> None:
    late.come()
    client = late.client()
    took(client)
    took(client)
    assert late.asked == 2


def test_a_redis_that_does_not_come_is_waited_for_once(late: Late) -> None:
    with comeback.one_request():
        assert 1.4 < took(late.client(), fails=True) < WITHIN
        assert took(late.client(), fails=True) < 0.2


def test_a_redis_that_still_reads_its_data_is_waited_for(late: Late) -> None:
    late.first = [b"-LOADING Redis is loading the dataset in memory\r\n"] * 3
    late.come(after=0.2)
    assert 0.4 < took(late.client()) < WITHIN
    assert not late.first


def test_a_redis_that_refuses_and_then_says_nothing_keeps_to_the_time(late: Late) -> None:
    late.silent = True
    late.come(after=1.3)
    assert took(late.client(), fails=True) < WITHIN


def test_a_connection_that_came_late_waits_as_long_as_any_other(late: Late) -> None:
    late.come(after=0.4)
    client = late.client()
    took(client)
    (connection,) = client.connection_pool._available_connections
    assert connection._sock.gettimeout() == 1


def test_more_than_half_of_the_threads_never_wait(late: Late, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comeback, "SECONDS", 30.0)  # it comes before that
    answered, refused = list[bool](), list[redis.RedisError]()

    def send() -> None:
        try:
            with comeback.sending():
                answered.append(late.client().ping())
        except redis.RedisError as error:
            refused.append(error)

    for _ in range(2):  # and their places are free again
        threads = [threading.Thread(target=send, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(refused) == THREADS - THREADS // 2, 20, every=0.02)
        late.come()
        for thread in threads:
            thread.join()
        assert len(answered) == THREADS // 2
        late.go()
        answered.clear()
        refused.clear()


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        ConnectionResetError(),
        OSError(errno.EHOSTUNREACH, "no route"),
        socket.gaierror(socket.EAI_NONAME, "no such name"),
        redis.BusyLoadingError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_says_at_once_that_nobody_is_there_may_be_over_soon(error: Exception) -> None:
    assert comeback.is_away(error)


@pytest.mark.parametrize(
    "error", [TimeoutError(), redis.TimeoutError(), redis.ResponseError(), OSError(errno.EMFILE, "too many files")]
)
def test_a_redis_that_hangs_or_answers_is_not_away(error: Exception) -> None:
    assert not comeback.is_away(error)
