"""When each periodic task last ran, in Redis, for schedulers that keep it in a file or a table of their own.

One hash: name -> JSON. Beat alone writes it. A run is noted before it is sent, by a script that compares what the hash
holds with what this beat knew: of two beats that both take themselves for the leader one sends the run.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import schedule

from stack.broker.connections import client
from stack.broker.keys import note_key

RUNS = "stack:beat:runs"
# So long the run of an entry that is gone is kept: it may come back. django_celery_beat shows those alone whose hour is
# near, and a deploy may be undone.
KEPT = timedelta(days=31)
# KEYS: the hash. ARGV: the name, what this beat knew, what it wants to note. Returns what the hash holds then.
CLAIM = """
local held = redis.call('hget', KEYS[1], ARGV[1]) or ''
if held ~= ARGV[2] then return held end
redis.call('hset', KEYS[1], ARGV[1], ARGV[3])
return ARGV[3]
"""


@dataclass(frozen=True)
class Run:
    """The last run of one entry, or since when it is known.

    Attributes:
        at: the moment for which it ran, in UTC.
        count: how often it ran.
        rule: its schedule then, as `rule_of` writes it.
        by: which beat noted it.
    """

    at: datetime
    count: int
    rule: str
    by: str = ""

    def dumps(self) -> str:
        """As Redis keeps it."""
        fields = {"at": self.at.astimezone(UTC).isoformat(), "count": self.count, "rule": self.rule, "by": self.by}
        return json.dumps(fields, sort_keys=True)


def loads(text: str | None) -> Run | None:
    """The inverse of `Run.dumps`; None for what is no run, which anybody with a client of Redis can have written."""
    try:
        fields = json.loads(text or "")
        at = datetime.fromisoformat(fields["at"])
        return Run(at if at.tzinfo else at.replace(tzinfo=UTC), int(fields["count"]), str(fields["rule"]))
    except (ValueError, TypeError, KeyError):
        return None


def read() -> dict[str, str]:
    """Every run, as Redis keeps it.

    Raises:
        redis.exceptions.RedisError: Redis does not answer, or the key is no hash.
    """
    found: dict[str, str] = client().hgetall(RUNS)
    return found


def claim(name: str, before: str, wanted: str) -> str:
    """Note the run `wanted` where Redis still holds `before`; returns what it holds then. Raises as `read` does."""
    try:
        held: str = client().register_script(CLAIM)(keys=[RUNS], args=[name, before, wanted])
    except Exception as error:
        note_key(error, ("HGET", RUNS))
        raise
    return held


def put(noted: dict[str, str]) -> None:
    """Note these as they are: entries that were never seen, or that have a new rule."""
    if noted:
        client().hset(RUNS, mapping=noted)


def forget(names: Iterable[str]) -> None:
    """What has these names next is new."""
    if names := list(names):
        client().hdel(RUNS, *names)


def rule_of(kind: Any) -> str:
    """A schedule as text that is the same in each process, and another for another rule."""
    if type(kind) is schedule:
        return f"every {kind.run_every.total_seconds()} {kind.relative}"
    text = " ".join(repr(kind).split())
    return type(kind).__qualname__ if " at 0x" in text else text


def aware(moment: datetime) -> datetime:
    """A time of an entry: one without a zone is UTC, as Celery has it."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def slot_of(entry: Any, now: datetime) -> datetime:
    """The moment for which an entry runs that is due: an interval keeps its pace, however late beat looks."""
    kind = entry.schedule
    if type(kind) is not schedule or kind.relative or kind.run_every <= timedelta(0):
        return now
    last = aware(entry.last_run_at).astimezone(UTC)
    start = getattr(getattr(entry, "model", None), "start_time", None)
    due: datetime = aware(start).astimezone(UTC) if start and last < aware(start) else last + kind.run_every
    # Of several that passed meanwhile the last one: they are made up by one run.
    return due + max(0, (now - due) // kind.run_every) * kind.run_every


def place(entry: Any, at: datetime, count: int) -> None:
    """Let an entry, and the row of a database that it has, have run at `at` for the `count`th time."""
    own = entry.last_run_at
    moment = at.astimezone(UTC).replace(tzinfo=None) if own and not own.tzinfo else at.astimezone(own and own.tzinfo)
    for each in (entry, getattr(entry, "model", None)):
        if each is not None:
            each.last_run_at, each.total_run_count = moment, count
