"""Beat's scheduler: RedBeat with its lock, made to live through an outage of Redis.

RedBeat 2.4.2 alone exits on a 4 s outage, and puts the file's entry back over a live edit at each restart.
This one stops ticking when it loses Redis or the lock, takes the lock again and goes on; standing by is
the same state, so a second beat is a hot standby.
"""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.beat import SchedulingError
from celery.signals import beat_init
from kombu.exceptions import OperationalError
from redbeat.schedulers import (
    LUA_EXTEND_TO_SCRIPT,
    RedBeatScheduler,
    acquire_distributed_beat_lock,
    get_redis,
)

import redis
from stack.apps import verify
from stack.entries import Entry, install_entries, rescore
from stack.env import environment, heartbeat_path, loop_limit
from stack.heartbeat import Heartbeat, install, waiting

logger = logging.getLogger(__name__)
# RedBeat takes its lock here, waiting without an end before the first tick; ours is taken in tick().
beat_init.disconnect(acquire_distributed_beat_lock)

UNREACHABLE = (redis.RedisError, OperationalError, OSError)
LOST = (*UNREACHABLE, SchedulingError)
ENDING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """TERM and Ctrl-C inside the block take effect at its end.

    Celery's handler ends beat wherever it stands: between noting a run and sending it that run would be lost.
    """
    asked: list[tuple[Any, ...]] = []
    before = {number: signal.signal(number, lambda *said: asked.append(said)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if asked:
            signal.raise_signal(asked[0][0])


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
        self.owed: dict[str, Entry] = {}  # runs that are noted as done and could not be sent, by their key
        self.unsure: set[str] = set()  # runs of which Redis did not say whether it noted them
        self.clock = time.time() - time.monotonic()

    @uninterrupted()
    def tick(self, *args: Any, **kwargs: Any) -> float:
        """One turn: with the lock, send what is due; without, try to take it. Returns seconds to sleep."""
        if self.heartbeat is None:
            env = environment()
            self.heartbeat = install(Heartbeat(heartbeat_path("beat", env), loop_limit("beat", env)))
        try:
            if self.lock is None and not self._take_lock():
                self.heartbeat.turn("standby")
                return 1.0
            self._send_owed()
            self._mind_the_clock()
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
        rescore(self.app)
        return True

    def _send_owed(self) -> None:
        for run, entry in list(self.owed.items()):
            logger.info("beat: sending %s (%s), which an outage kept back", entry.name, entry.task)
            self._send(entry, run, advance=False)

    def _mind_the_clock(self) -> None:
        """A clock that was set back must not silence beat for as long as it was ahead."""
        clock = time.time() - time.monotonic()
        if clock < self.clock - 5:
            logger.warning("beat: the clock was set back by %.0f s", self.clock - clock)
            rescore(self.app)
        self.clock = clock

    def maybe_due(self, entry: Any, **kwargs: Any) -> Any:
        waiting()  # a turn over a thousand entries may take long
        due, delay = entry.is_due()
        run = f"redbeat:run:{entry.name}:{entry.last_run_at}:{entry.total_run_count}"
        if due and self._first_for(run, entry):
            logger.info("beat: sending %s (%s)", entry.name, entry.task)
            self._send(entry, run, **kwargs)
        return delay

    def _send(self, entry: Any, run: str, **options: Any) -> None:
        """Send one run. Celery notes it as done before it sends it, so one that Redis did not take is owed."""
        self.owed[run] = entry
        try:
            self.apply_async(entry, **options)
        except SchedulingError as error:
            if isinstance(error.__context__, UNREACHABLE):
                raise
            # One that does not fit its task must not hold back the others.
            logger.error("beat: %s cannot be sent: %s", entry.name, error)
        del self.owed[run]

    def _first_for(self, run: str, entry: Any) -> bool:
        """Whether no other beat has sent this very run; false only for one that lost the lock without noticing."""
        try:
            first = get_redis(self.app).set(run, 1, nx=True, ex=3600)
        except redis.RedisError:
            self.unsure.add(run)
            raise
        if first or run in self.unsure:
            self.unsure.discard(run)
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
