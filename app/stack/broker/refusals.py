"""What Redis answered, where it answered and refused: that is no outage, and the answer says so."""

from redis.exceptions import OutOfMemoryError, ReadOnlyError

from stack.broker.connections import answered, client, refused_for_now
from stack.broker.keys import describe, is_wrong_type


class AlmostFull(OutOfMemoryError):
    """Redis is not full, but the room that it has is not for the API's callers (stack/http/room.py)."""


def what_redis_said(error: Exception | type[Exception]) -> tuple[str, str, int] | None:
    """The code, the sentence and the seconds to wait of an answer of the API; None where Redis did not answer."""
    said = answered(error)
    if said is None:
        return None
    if isinstance(said, AlmostFull):
        return "redis_full", f"Redis is nearly full: {said}.", 5
    if isinstance(said, OutOfMemoryError):
        return "redis_full", "Redis is full: it holds as much as its maxmemory allows.", 5
    if isinstance(said, ReadOnlyError):
        return "redis_refused", "Redis takes no writes: it is a replica.", 5
    if "MISCONF" in str(said):
        return "redis_refused", "Redis takes no writes: it cannot write to its disk.", 5
    if refused_for_now(said):
        return "redis_refused", f"Redis refuses for now: {said}.", 5
    # Nothing that time mends.
    return ("broken_key" if is_wrong_type(said) else "redis_refused"), describe(client(), said), 60
