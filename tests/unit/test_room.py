"""How much the API may put into Redis: asked seldom, and counted in between."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import redis
from kombu.exceptions import OperationalError

from stack.broker.refusals import AlmostFull, what_redis_said
from stack.http.room import Room, _memory

MIB = 1 << 20


def take(room: Room, size: int) -> None:
    with room.taken(size):
        """Sent."""


def room(used: list[int], limit: int = 100 * MIB, pause: float = 60) -> tuple[Room, list[int]]:
    """A room of a Redis that holds `used[-1]` bytes, and the list of the times it was asked."""
    asked: list[int] = []

    def ask() -> tuple[int, int]:
        asked.append(1)
        return used[-1], limit

    return Room(ask, 80, pause), asked


def test_what_was_sent_since_redis_was_asked_counts() -> None:
    made, asked = room([59 * MIB])
    for _ in range(10):
        take(made, MIB)
    with pytest.raises(AlmostFull, match="79 % of its maxmemory of 100 MiB is in use"):
        take(made, MIB)
    assert len(asked) == 1


def test_what_is_under_way_counts_as_what_was_sent() -> None:
    made, _ = room([10 * MIB])
    with made.taken(20 * MIB):
        with pytest.raises(AlmostFull, match="50 % of"):
            take(made, 20 * MIB)
        take(made, 10 * MIB)


def test_redis_is_asked_again_after_a_pause() -> None:
    used = [90 * MIB]
    made, asked = room(used, pause=0)
    with pytest.raises(AlmostFull):
        take(made, 1)
    used.append(10 * MIB)
    take(made, 30 * MIB)
    take(made, 30 * MIB)  # the first is gone from Redis by now, as it says
    assert len(asked) == 3


def test_a_redis_without_a_limit_takes_everything() -> None:
    made, _ = room([10**12], limit=0)
    take(made, 10**12)


@pytest.mark.parametrize("info", [{}, {"maxmemory": 100}])
def test_a_service_that_tells_less_takes_everything(monkeypatch: pytest.MonkeyPatch, info: dict[str, int]) -> None:
    monkeypatch.setattr("stack.http.room.client", lambda: SimpleNamespace(info=lambda _: info))
    take(Room(_memory, 80), 1000 * MIB)


def test_an_outage_is_found_by_each_call() -> None:
    def ask() -> tuple[int, int]:
        raise redis.ConnectionError("away")

    made = Room(ask, 80)
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            take(made, 1)


def wrapped(error: Exception) -> Exception:
    try:
        raise OperationalError(str(error)) from error
    except OperationalError as outer:
        return outer


@pytest.mark.parametrize("wrap", [lambda error: error, wrapped])
@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (redis.exceptions.OutOfMemoryError("command not allowed"), "redis_full", "full"),
        (redis.exceptions.ReadOnlyError("You can't write"), "redis_refused", "replica"),
        (redis.ResponseError("MISCONF Redis is configured to save"), "redis_refused", "disk"),
        (redis.ResponseError("NOREPLICAS Not enough good replicas"), "redis_refused", "NOREPLICAS"),
    ],
)
def test_what_redis_refused_is_told_apart_from_an_outage(
    error: Exception, code: str, text: str, wrap: Callable[[Exception], Exception]
) -> None:
    said = what_redis_said(wrap(error))
    assert said
    assert said[::2] == (code, 5)
    assert text in said[1]
    assert what_redis_said(wrap(redis.ConnectionError("refused"))) is None
