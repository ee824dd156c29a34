"""What Redis refuses of one key, and what is an outage."""

import pytest
import redis
from celery.beat import SchedulingError
from fakeredis import FakeRedis
from kombu.exceptions import OperationalError

from stack.beat.scheduler import is_outage
from stack.broker import keys, refusals
from stack.broker.connections import answer_of
from stack.broker.keys import Client, note_key

WRONG = redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")


def wrapped(cause: Exception) -> Exception:
    """As kombu makes one of its own of what Redis answered, and beat one of that."""
    try:
        try:
            raise cause
        except Exception as error:
            raise OperationalError(str(error)) from error
    except OperationalError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError("Connection refused"),
        redis.TimeoutError("Timeout reading from socket"),
        redis.BusyLoadingError("Redis is loading the dataset in memory"),
        redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        redis.ReadOnlyError("You can't write against a read only replica."),
        redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
        redis.ResponseError("BUSY Redis is busy running a script."),
        OperationalError("[Errno 111] Connection refused"),
    ],
)
def test_what_redis_does_later_is_an_outage(error: Exception) -> None:
    for each in (error, wrapped(error)):
        assert is_outage(each)


@pytest.mark.parametrize("error", [WRONG, redis.exceptions.NoPermissionError("this user has no permissions")])
def test_what_redis_refuses_of_one_key_is_no_outage(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "client", FakeRedis)
    for each in (error, wrapped(error)):
        assert answer_of(each) is error
        assert not is_outage(each)
        said = refusals.what_redis_said(each)
        assert said
        assert said[::2] == ("broken_key" if error is WRONG else "redis_refused", 60)
        assert str(error) in said[1]
    scheduled = SchedulingError("Couldn't apply scheduled task")
    scheduled.__context__ = wrapped(error)
    assert not is_outage(scheduled)


def test_an_outage_after_a_refusal_is_an_outage() -> None:
    lost = redis.ConnectionError("gone")
    lost.__context__ = WRONG
    assert answer_of(lost) is None


def test_a_broken_key_is_named_with_what_it_is_and_should_be() -> None:
    server = FakeRedis(decode_responses=True)
    server.rpush("k", "x")
    for command, kind in (("HGETALL", "a hash"), ("GET", "a string"), ("ZCARD", "a sorted set"), ("SMEMBERS", "a set")):
        error = redis.ResponseError(WRONG)
        note_key(error, (command, "k"))
        assert keys.describe(server, error).startswith(f"The key 'k' in Redis is a list, not {kind}.")


def test_a_pipeline_says_which_of_its_keys_is_broken() -> None:
    pipe = Client().pipeline(transaction=False)
    error = redis.ResponseError(WRONG)
    pipe.annotate_exception(error, 2, ("LLEN", b"mail"))
    assert (error.broken_key, error.needed) == ("mail", "list")  # type: ignore[attr-defined]
