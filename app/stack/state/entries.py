"""An entry of beat as Redis keeps it: when it is due, what is stored of it, and what follows a change of it."""

import json
import logging
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab
from redbeat.schedulers import RedBeatSchedulerEntry, get_redis, to_timestamp

from stack.state import schedules
from stack.state.clocks import Crontab
from stack.state.stored import PROBLEMS, Stored

logger = logging.getLogger(__name__)

# With such a name an entry would take a key of beat's own: redbeat::schedule, redbeat:run:...
RESERVED = (":", "run:")
_logged: set[str] = set()  # entries of an unknown class that the log has named


class Entry(RedBeatSchedulerEntry):
    """RedBeat's entry with a JSON that knows every registered schedule class, and right when clocks change."""

    schedule: Any

    def __init__(self, **fields: Any):
        self.ran_at: datetime | None = fields.pop("ran_at", None)
        self.stored: str | None = fields.pop("stored", None)  # the definition as Redis has it
        super().__init__(**fields)
        if type(self.schedule) is crontab:
            self.schedule = Crontab.of(self.schedule)

    @staticmethod
    def decode_definition(definition: str) -> Any:
        fields = json.loads(definition)
        # These two alone: the arguments are the caller's, and may hold what looks like a type of ours.
        fields |= {
            name: schedules.loads(json.dumps(fields[name])) for name in ("schedule", "options") if name in fields
        }
        if isinstance(fields["schedule"], dict):
            # Put there by a version that knew the class. It must not run at wrong times, nor stop the others.
            if fields["name"] not in _logged:
                _logged.add(fields["name"])
                kind = fields["schedule"].get("__type__")
                logger.error("beat: %s has a schedule of the unknown class %s; it does not run", fields["name"], kind)
            fields |= {"schedule": schedules.Unknown(fields["schedule"]), "enabled": False}
        return fields

    @property
    def score(self) -> float:
        """When beat has to look at it, in Unix seconds."""
        if not self.enabled:
            return math.inf
        due = self.due_at  # not twice, as RedBeat does: in a night in which clocks change it takes a while
        return -1.0 if due is None else float(to_timestamp(due))

    @property
    def due_at(self) -> Any:
        """The time of the next run, or None when there is none.

        RedBeat adds what is left from now to the last run, which is too early for all but the newest entries.
        """
        if self.last_run_at is None:
            return self.default_now()
        left = self.schedule.remaining_estimate(self._last_run())
        # Added in UTC: 20 hours more on the wall are another moment when clocks change in between.
        return None if left is None else datetime.now(UTC) + max(left, timedelta(0))

    def is_due(self) -> Any:
        """Whether to send it now, and the seconds until it is worth asking again."""
        return self.schedule.is_due(self._last_run()) if self.enabled else (False, 5.0)

    def _last_run(self) -> datetime:
        """The last run in the zone in which its schedule counts days and hours."""
        last = self.last_run_at or datetime(1970, 1, 2, tzinfo=UTC)
        if last.tzinfo:
            last = min(last, datetime.now(UTC))  # the clock was ahead then
        return last.astimezone(self.schedule.tz) if last.tzinfo else last

    def _next_instance(self, last_run_at: Any = None, **options: Any) -> "Entry":
        """This entry after one more run, which is noted in Redis."""
        # In UTC: RedBeat notes the time on the wall, and an autumn night has the same time twice.
        moment = (last_run_at or self.default_now()).astimezone(UTC)
        after: Entry = super()._next_instance(moment, **options)
        connection = get_redis(self.app)
        definition, meta = connection.hmget(self.key, "definition", "meta")
        if definition and definition != self.definition():
            # Changed since this turn began: when it runs next is for the new rule to say.
            changed = Entry.from_stored(definition, meta, self.app)
            connection.zadd(self.app.redbeat_conf.schedule_key, {self.key: changed.score})
        return after

    __next__ = next = _next_instance

    @classmethod
    def from_stored(cls, definition: str, meta: str | None, app: Any) -> "Entry":
        """An entry of the two texts in its Redis hash."""
        entry = cls(app=app, **cls.decode_definition(definition))
        entry.stored = definition
        stored = schedules.loads(meta) if meta else {}
        entry.last_run_at = stored.get("last_run_at")
        entry.total_run_count = stored.get("total_run_count") or 0
        entry.ran_at = stored.get("ran_at") or (entry.last_run_at if entry.total_run_count else None)
        return entry

    @classmethod
    def of(cls, stored: Stored, app: Any) -> "Entry":
        """An entry of what its key holds.

        Raises:
            ValueError: no entry can be made of it; the text says why.
        """
        if stored.definition is None:
            raise ValueError(f"the key {stored.key!r} has no definition")
        try:
            entry = cls.from_stored(stored.definition, stored.meta, app)
        except Exception as error:  # whatever somebody wrote there
            raise ValueError(f"{_unfit(stored)}: {type(error).__name__}: {error}") from error
        if entry.key != stored.key:
            raise ValueError(f"{_unfit(stored)}: its name is {entry.name!r}")
        for name, kinds in _KINDS.items():
            if not isinstance(getattr(entry, name), kinds):
                raise ValueError(f"{_unfit(stored)}: {name} is {getattr(entry, name)!r}")
        return entry

    def follow(self, before: "Entry | None") -> bool:
        """Go on from the runs of the entry that this one replaces; true where it counts from now.

        A turn that a crontab missed is made up, but not one from before it was switched on or had this rule.
        """
        self.last_run_at, self.total_run_count, self.ran_at = self.default_now(), 0, None
        if before is None:
            return True
        self.total_run_count, self.ran_at = before.total_run_count, before.ran_at
        if before.last_run_at is None or self.enabled > before.enabled:
            return True
        if schedules.dumps(self.schedule) != schedules.dumps(before.schedule):
            return True
        self.last_run_at = before.last_run_at
        return False

    def definition(self) -> str:
        """What the entry is, without when it last ran."""
        names = ("name", "task", "args", "kwargs", "options", "schedule", "enabled")
        json.dumps([self.args, self.kwargs])  # nothing that would come back as something else
        return schedules.dumps({name: getattr(self, name) for name in names})

    def meta(self) -> str:
        """When it last ran, as Redis keeps it."""
        return schedules.dumps(
            {"last_run_at": self.last_run_at, "total_run_count": self.total_run_count, "ran_at": self.ran_at}
        )

    def save(self, anew: bool = False, in_place_of: Stored | None = None) -> "Entry":
        """Store it; when it last ran is beat's to say, unless it counts `anew`. Beat tries one that it set aside again.

        Args:
            in_place_of: what the key holds now, if it is no entry and has to go.
        """
        with get_redis(self.app).pipeline() as pipe:
            if in_place_of:
                pipe.delete(self.key)
            pipe.hset(self.key, "definition", self.definition())
            (pipe.hset if anew else pipe.hsetnx)(self.key, "meta", self.meta())
            pipe.zadd(self.app.redbeat_conf.schedule_key, {self.key: self.score})
            pipe.hdel(PROBLEMS, self.key)
            pipe.execute()
        return self

    def take_back(self, run: str) -> None:
        """Undo the note of a run that was not sent, unless the entry was changed or deleted meanwhile.

        Args:
            run: the key that says which run was sent.
        """
        connection = get_redis(self.app)
        unchanged = connection.hget(self.key, "definition") == self.stored
        with connection.pipeline() as pipe:
            pipe.delete(run)
            if unchanged:
                pipe.hset(self.key, "meta", self.meta())
                pipe.zadd(self.app.redbeat_conf.schedule_key, {self.key: self.score}, xx=True)
            pipe.execute()


# What an entry's fields must be, which anybody with a client of Redis can have written.
_KINDS: dict[str, Any] = {
    "task": str,
    "args": (list, tuple, type(None)),
    "kwargs": (dict, type(None)),
    "options": (dict, type(None)),
    "schedule": BaseSchedule,
    "enabled": bool,
    "last_run_at": (datetime, type(None)),
    "ran_at": (datetime, type(None)),
    "total_run_count": int,
}


def _unfit(stored: Stored) -> str:
    return f"what the key {stored.key!r} holds is no schedule"
