"""Beat's entries as Redis keeps them, and how those of the settings get there."""

import json
import logging
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import crontab
from redbeat.schedulers import RedBeatSchedulerEntry, ensure_conf, get_redis, to_timestamp

from stack import heartbeat, schedules
from stack.clocks import Crontab

logger = logging.getLogger(__name__)

# Which entries of the settings were put into Redis, each with the definition that was put there.
INSTALLED = "redbeat::installed"
ZONE = "redbeat::zone"
# With such a name an entry would take a key of beat's own: redbeat::schedule, redbeat:run:...
RESERVED = (":", "run:")
_told: set[str] = set()  # entries of an unknown class that the log has named


class Entry(RedBeatSchedulerEntry):
    """RedBeat's entry with a JSON that knows every registered schedule class, and right when clocks change."""

    schedule: Any

    def __init__(self, **fields: Any):
        self.ran_at: datetime | None = fields.pop("ran_at", None)
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
            if fields["name"] not in _told:
                _told.add(fields["name"])
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
        stored = schedules.loads(meta) if meta else {}
        entry.last_run_at = stored.get("last_run_at")
        entry.total_run_count = stored.get("total_run_count") or 0
        entry.ran_at = stored.get("ran_at") or (entry.last_run_at if entry.total_run_count else None)
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

    def save(self, anew: bool = False) -> "Entry":
        """Store it; when it last ran is beat's to say, unless it counts `anew`."""
        meta = {"last_run_at": self.last_run_at, "total_run_count": self.total_run_count, "ran_at": self.ran_at}
        with get_redis(self.app).pipeline() as pipe:
            pipe.hset(self.key, "definition", self.definition())
            (pipe.hset if anew else pipe.hsetnx)(self.key, "meta", schedules.dumps(meta))
            pipe.zadd(self.app.redbeat_conf.schedule_key, {self.key: self.score})
            pipe.execute()
        return self


def all_stored(app: Any, *fields: str) -> list[list[str | None]]:
    """These fields of the hash of every entry."""
    ensure_conf(app)
    connection = get_redis(app)
    keys = connection.zrange(app.redbeat_conf.schedule_key, 0, -1)
    pipe = connection.pipeline(transaction=False)
    for key in keys:
        pipe.hmget(key, *fields)
    stored: list[list[str | None]] = pipe.execute()
    return stored


def rescore(app: Any) -> None:
    """Tell beat anew when to look at the entries that ran in the future, by the clock of now.

    And at every entry where TIME_ZONE is another than when beat was told: crontabs are read in it.
    """
    connection, zone = get_redis(app), str(app.timezone)
    moved, seen = connection.get(ZONE) != zone, set[tuple[str | None, ...]]()
    # Until none was changed meanwhile, by the API: its new rule says when.
    while new := {(definition, meta) for definition, meta in all_stored(app, "definition", "meta")} - seen:
        seen |= new
        for definition, meta in new:
            entry = Entry.from_stored(definition, meta, app) if definition else None
            if entry and (moved or (entry.last_run_at and entry.last_run_at > datetime.now(entry.last_run_at.tzinfo))):
                heartbeat.waiting()
                connection.zadd(app.redbeat_conf.schedule_key, {entry.key: entry.score})
    connection.set(ZONE, zone)


def queues(app: Any) -> set[str]:
    """The queues that the options of entries name."""
    found = {json.loads(text).get("options", {}).get("queue") for (text,) in all_stored(app, "definition") if text}
    return {str(queue) for queue in found if queue}


def install_entries(app: Any, entries: dict[str, Any], reset: bool = False) -> None:
    """Bring the entries of the settings into Redis without touching what was changed at run time.

    An entry is put there once. Later a change of the file, or its removal from it, takes effect as long as
    nobody edited or deleted the entry meanwhile. `reset` restores all entries to the file's.
    """
    connection = get_redis(app)
    installed = connection.hgetall(INSTALLED)
    for name in installed.keys() | entries.keys():
        key = Entry.generate_key(app, name)
        live, meta = connection.hmget(key, "definition", "meta")
        before = installed.get(name)
        untouched = before is None or (live is not None and live == before)
        if name not in entries:
            if untouched or reset:
                connection.zrem(app.redbeat_conf.schedule_key, key)
                connection.delete(key)
            connection.hdel(INSTALLED, name)
        elif reset or (untouched and live != entries[name].definition() and (live is None or before is not None)):
            entry = entries[name]
            entry.save(anew=entry.follow(Entry.from_stored(live, meta, app) if live else None))
            connection.hset(INSTALLED, name, entry.definition())
            logger.info("beat: installed schedule %s", name)
