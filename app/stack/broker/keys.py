"""A key of Redis that holds something else than it should: named with what it is, and never taken for an outage."""

from collections.abc import Sequence
from typing import Any

import redis
from redis.client import Pipeline as RedisPipeline

# What Redis's TYPE says, in words.
KINDS = {"string": "a string", "list": "a list", "hash": "a hash", "set": "a set", "zset": "a sorted set"}
_OF_COMMAND = {"H": "hash", "L": "list", "R": "list", "B": "list", "S": "set", "Z": "zset", "G": "string"}
_STRINGS = ("SET", "SETEX", "SETNX", "MSET")


def is_wrong_type(error: object) -> bool:
    """Whether Redis refused a command because the key holds another kind of value."""
    return isinstance(error, redis.ResponseError) and "WRONGTYPE" in str(error)


def note_key(error: Exception, command: Sequence[Any]) -> None:
    """Note at an error of a wrong kind which key that was and what `command` needs, for `describe`."""
    if is_wrong_type(error) and len(command) > 1:
        key, word = command[1], str(command[0]).upper()
        error.broken_key = key.decode(errors="replace") if isinstance(key, bytes) else str(key)  # type: ignore[attr-defined]
        error.needed = "string" if word in _STRINGS else _OF_COMMAND.get(word[0], "string")  # type: ignore[attr-defined]


def describe(connection: Any, error: Exception) -> str:
    """What Redis said, or which key is wrong and what to do; one round trip at most, and it never fails."""
    key = getattr(error, "broken_key", None)
    return f"Redis says: {error}" if key is None else wrong(connection, key, error.needed)  # type: ignore[attr-defined]


def wrong(connection: Any, key: str, needed: str) -> str:
    """That `key` is not `needed` (a word of KINDS), with what it is."""
    try:
        found = KINDS.get(connection.type(key), "something else")
    except redis.RedisError:  # this user has no right to ask, or Redis went away
        found = "something else"
    return (
        f"The key {key!r} in Redis is {found}, not {KINDS[needed]}. Nothing repairs it by itself: rename it (RENAME) "
        "to keep what it holds, or delete it (DEL)."
    )


class Pipeline(RedisPipeline):
    """redis-py's, whose errors of a wrong kind know which key that was."""

    def annotate_exception(self, exception: Exception, number: int, command: Sequence[Any]) -> None:
        super().annotate_exception(exception, number, command)
        note_key(exception, command)

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """As redis-py's; errors among the answers know their keys too."""
        stack = self.command_stack
        answers: list[Any] = super().execute(raise_on_error)
        if not raise_on_error:
            for answer, (command, _) in zip(answers, stack, strict=False):
                if isinstance(answer, Exception):
                    note_key(answer, command)
        return answers


class Client(redis.Redis):
    """redis-py's client, whose errors of a wrong kind know which key that was."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)
        except redis.ResponseError as error:
            note_key(error, args)
            raise

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        return Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
