"""Beat's scheduler: RedBeat with its lock, made to live through an outage of Redis.

RedBeat 2.4.2 alone exits on a 4 s outage, and puts the file's entry back over a live edit at each restart.
This one stops ticking when it loses Redis or the lock, takes the lock again and goes on; standing by is
the same state, so a second beat is a hot standby.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.beat import SchedulingError
from celery.schedules import crontab, schedule
from celery.signals import beat_init
from kombu.exceptions import OperationalError
from redbeat.schedulers import (
    LUA_EXTEND_TO_SCRIPT,
    RedBeatScheduler,
    RedBeatSchedulerEntry,
    acquire_distributed_beat_lock,
    get_redis,
)

import redis
from stack import schedules
from stack.apps import verify
from stack.clocks import Crontab
from stack.env import environment, heartbeat_path, loop_limit
from stack.heartbeat import Heartbeat, install

logger = logging.getLogger(__name__)
# RedBeat takes its lock here, waiting without an end before the first tick; ours is taken in tick().
beat_init.disconnect(acquire_distributed_beat_lock)

# Which entries of the settings were put into Redis, each with the definition that was put there.
INSTALLED = "redbeat::installed"
_told: set[str] = set()  # entries of an unknown class that the log has named
LOST = (redis.RedisError, OperationalError, SchedulingError)


class Entry(RedBeatSchedulerEntry):
    """RedBeat's entry with a JSON that knows every registered schedule class, and right when clocks change."""

    schedule: Any

    def __init__(self, **fields: Any):
        super().__init__(**fields)
        if type(self.schedule) is crontab:
            self.schedule = Crontab.of(self.schedule)

    @staticmethod
    def decode_definition(definition: str) -> Any:
        fields = schedules.loads(definition)
        if isinstance(fields["schedule"], dict):
            # Put there by a version that knew the class. It must not run at wrong times, nor stop the others.
            if fields["name"] not in _told:
                _told.add(fields["name"])
                kind = fields["schedule"].get("__type__")
                logger.error("beat: %s has a schedule of the unknown class %s; it does not run", fields["name"], kind)
            fields |= {"schedule": schedule(3600.0), "enabled": False}
        return fields

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
        return last.astimezone(self.schedule.tz) if last.tzinfo else last

    def _next_instance(self, last_run_at: Any = None, **options: Any) -> "Entry":
        """This entry after one more run, which is noted in Redis."""
        # In UTC: RedBeat notes the time on the wall, and an autumn night has the same time twice.
        moment = (last_run_at or self.default_now()).astimezone(UTC)
        after: Entry = super()._next_instance(moment, **options)
        return after

    __next__ = next = _next_instance

    @classmethod
    def from_stored(cls, definition: str, meta: str | None, app: Any) -> "Entry":
        """An entry of the two texts in its Redis hash."""
        entry = cls(app=app, **cls.decode_definition(definition))
        stored = schedules.loads(meta) if meta else {}
        entry.last_run_at = stored.get("last_run_at")
        entry.total_run_count = stored.get("total_run_count") or 0
        return entry

    def definition(self) -> str:
        """What the entry is, without when it last ran."""
        names = ("name", "task", "args", "kwargs", "options", "schedule", "enabled")
        return schedules.dumps({name: getattr(self, name) for name in names})

    def save(self) -> "Entry":
        with get_redis(self.app).pipeline() as pipe:
            pipe.hset(self.key, "definition", self.definition())
            pipe.hsetnx(self.key, "meta", schedules.dumps({"last_run_at": self.last_run_at}))
            pipe.zadd(self.app.redbeat_conf.schedule_key, {self.key: self.score})
            pipe.execute()
        return self


class Scheduler(RedBeatScheduler):
    """One leader ticks; every other beat stands by and takes over within lock + loop seconds."""

    Entry = Entry
    lock: Any

    def setup_schedule(self) -> None:
        """Refuse, by name, an entry of the settings that could not be stored; Redis is not asked yet."""
        verify()
        self.from_settings = {}
        for name, fields in self.app.conf.beat_schedule.items():
            try:
                entry = self._maybe_entry(name, dict(fields))
                entry.definition()
            except (TypeError, ValueError, KeyError) as error:
                raise SystemExit(f"beat: schedule {name!r} cannot be used: {error}") from error
            self.from_settings[name] = entry
        self.heartbeat: Heartbeat | None = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """One turn: with the lock, send what is due; without, try to take it. Returns seconds to sleep."""
        if self.heartbeat is None:
            env = environment()
            self.heartbeat = install(Heartbeat(heartbeat_path("beat", env), loop_limit("beat", env)))
        try:
            if self.lock is None and not self._take_lock():
                self.heartbeat.turn("standby")
                return 1.0
            delay: float = super().tick(*args, **kwargs)
            self.heartbeat.turn("ready")
            return delay
        except LOST as error:
            logger.warning("beat: not ticking: %s", error)
            self.lock = None
            self.heartbeat.turn("waiting for Redis")
            return 1.0

    def _take_lock(self) -> bool:
        connection = get_redis(self.app)
        lock = connection.lock(self.lock_key, timeout=self.lock_timeout, blocking=False)
        # redis-py's extend adds to what is left of the lock; RedBeat's script sets it anew.
        lock.lua_extend = connection.register_script(LUA_EXTEND_TO_SCRIPT)
        if not lock.acquire():
            return False
        logger.info("beat: took the lock, ticking")
        self.lock = lock
        install_entries(self.app, self.from_settings)
        return True

    def maybe_due(self, entry: Any, **kwargs: Any) -> Any:
        due, delay = entry.is_due()
        if due and self._first_for_this_run(entry):
            logger.info("beat: sending %s (%s)", entry.name, entry.task)
            self.apply_async(entry, **kwargs)
        return delay

    def _first_for_this_run(self, entry: Any) -> bool:
        """Whether no other beat has sent this very run; false only for one that lost the lock without noticing."""
        run = f"redbeat:run:{entry.name}:{entry.last_run_at}:{entry.total_run_count}"
        if get_redis(self.app).set(run, 1, nx=True, ex=3600):
            return True
        next(entry)
        return False

    def close(self) -> None:
        if self.heartbeat:
            self.heartbeat.stopping()
        try:
            super().close()
        except redis.RedisError as error:
            logger.warning("beat: could not release the lock, it ends by itself: %s", error)
        if self.heartbeat:
            self.heartbeat.remove()


def install_entries(app: Any, entries: dict[str, Any], reset: bool = False) -> None:
    """Bring the entries of the settings into Redis without touching what was changed at run time.

    An entry is put there once. Later a change of the file, or its removal from it, takes effect as long as
    nobody edited or deleted the entry meanwhile. `reset` restores all entries to the file's.
    """
    connection = get_redis(app)
    installed = connection.hgetall(INSTALLED)
    for name in installed.keys() | entries.keys():
        key = Entry.generate_key(app, name)
        live, before = connection.hget(key, "definition"), installed.get(name)
        untouched = before is None or (live is not None and live == before)
        if name not in entries:
            if untouched or reset:
                connection.zrem(app.redbeat_conf.schedule_key, key)
                connection.delete(key)
            connection.hdel(INSTALLED, name)
        elif reset or (untouched and live != entries[name].definition() and (live is None or before is not None)):
            entry = entries[name]
            meta = connection.hget(key, "meta")
            entry.last_run_at = schedules.loads(meta).get("last_run_at") if meta else entry.default_now()
            entry.save()
            connection.hset(INSTALLED, name, entry.definition())
            logger.info("beat: installed schedule %s", name)
