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

import redis
from celery.beat import SchedulingError
from celery.signals import beat_init
from kombu.exceptions import OperationalError
from redbeat.schedulers import (
    LUA_EXTEND_TO_SCRIPT,
    RedBeatScheduler,
    acquire_distributed_beat_lock,
    get_redis,
    to_timestamp,
)

from stack.beat.aside import Aside
from stack.broker.connections import answer_of, client
from stack.broker.keys import describe, is_wrong_type
from stack.runtime.env import environment, heartbeat_path, loop_limit
from stack.runtime.heartbeat import Heartbeat, install, waiting
from stack.runtime.serving import verify
from stack.state import queues
from stack.state.entries import Entry, install_entries, rescore
from stack.state.stored import read, wrong_key

logger = logging.getLogger(__name__)
# RedBeat takes its lock here, waiting without an end before the first tick; ours is taken in tick().
beat_init.disconnect(acquire_distributed_beat_lock)

UNREACHABLE = (redis.RedisError, OperationalError, OSError)
LOST = (*UNREACHABLE, SchedulingError)
ENDING = (signal.SIGTERM, signal.SIGINT)


def is_outage(error: BaseException) -> bool:
    """Whether Redis is away or refuses for now; what it says of one key, and what an entry does wrong, is no outage."""
    cause = error.__context__ if isinstance(error, SchedulingError) else error
    return isinstance(cause, UNREACHABLE) and answer_of(cause) is None


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
        self.aside = Aside(self.app)
        self.known = queues.Known()
        self.prepared = False  # since this beat has the lock
        self.wrong = ""  # what keeps every schedule from running, besides an outage

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
            if not self.prepared:
                self._prepare()
            self._send_owed()
            self._mind_the_clock()
            delay: float = super().tick(*args, **kwargs)
            self.wrong = ""
            self.heartbeat.turn("ready")
            return delay
        except LOST as error:
            self.heartbeat.turn(self._why_not(error))
            return 1.0

    def _why_not(self, error: Exception) -> str:
        """What keeps beat from ticking, in a line for the health check and, once, for the log."""
        try:
            said = answer_of(error) and (wrong_key(self.app) or f"Redis says: {answer_of(error)}")
        except UNREACHABLE as lost:
            said, error = None, lost
        if said:
            # The lock stays: a standby would find the same, and health would say that it stands by.
            if said != self.wrong:
                logger.error("beat: no schedule runs: %s", said)
            self.wrong = said
            return said
        logger.warning("beat: not ticking: %s", error)
        self.lock, self.prepared = None, False
        return "waiting for Redis"

    def _take_lock(self) -> bool:
        connection = get_redis(self.app)
        lock = connection.lock(self.lock_key, timeout=self.lock_timeout, blocking=False)
        # redis-py's extend adds to what is left of the lock; RedBeat's script sets it anew.
        lock.lua_extend = connection.register_script(LUA_EXTEND_TO_SCRIPT)
        if not lock.acquire():
            if connection.pttl(self.lock_key) == -1:
                raise redis.ResponseError(f"the key {self.lock_key!r} never ends")
            return False
        logger.info("beat: took the lock, ticking")
        self.lock = lock
        return True

    def _prepare(self) -> None:
        """What the beat that has just taken the lock does first."""
        install_entries(self.app, self.from_settings)
        rescore(self.app)
        self.aside.reset()
        self.prepared = True

    @property
    def schedule(self) -> dict[str, Any]:
        """The entries that are due, and the next one: as RedBeat's, without those that are set aside."""
        place, now = self.app.redbeat_conf.schedule_key, to_timestamp(self.app.now())
        connection = get_redis(self.app)
        pipe = connection.pipeline(transaction=False)
        pipe.zrangebyscore(place, 0, now)
        pipe.zrangebyscore(place, f"({now}", now + self.max_interval, start=0, num=1)
        due, soon = pipe.execute()
        found = {}
        for stored in read(self.app, [*due, *soon]):
            if stored.definition is None and stored.error is None:
                logger.warning("beat: %s is gone", stored.key)
                connection.zrem(place, stored.key)
            elif not self.aside.holds(stored):
                try:
                    entry = Entry.of(stored, self.app)
                    found[entry.name] = entry
                except ValueError as error:
                    reason = describe(client(), stored.error) if stored.error else str(error)
                    self.aside.put(stored.key, stored.definition, reason)
        return found

    def _send_owed(self) -> None:
        for run, entry in list(self.owed.items()):
            logger.info("beat: sending %s (%s), which an outage kept back", entry.name, entry.task)
            try:
                self._send(entry, run, advance=False)
            except Exception as error:
                self._set_aside(entry, error, run)

    def _mind_the_clock(self) -> None:
        """A clock that was set back must not silence beat for as long as it was ahead."""
        clock = time.time() - time.monotonic()
        if clock < self.clock - 5:
            logger.warning("beat: the clock was set back by %.0f s", self.clock - clock)
            rescore(self.app)
        self.clock = clock

    def maybe_due(self, entry: Any, **kwargs: Any) -> Any:
        """Send an entry whose time has come; returns the seconds until its next turn, None where it is set aside."""
        waiting()  # a turn over a thousand entries may take long
        run = f"redbeat:run:{entry.name}:{entry.last_run_at}:{entry.total_run_count}"
        try:
            due, delay = entry.is_due()
            if due:
                self._check_queue(entry)
                if self._first_for(run, entry):
                    logger.info("beat: sending %s (%s)", entry.name, entry.task)
                    self._send(entry, run, **kwargs)
        except Exception as error:  # one entry must not hold back the others
            self._set_aside(entry, error, run)
            return None
        return delay

    def _check_queue(self, entry: Any) -> None:
        """Raise a ValueError where the entry's own queue is none to which a schedule may send."""
        queue = (entry.options or {}).get("queue")
        if queue is not None and (why := self.known.refusal(queue)):
            raise ValueError(f"options.queue: {why}")

    def _send(self, entry: Any, run: str, **options: Any) -> None:
        """Send one run. Celery notes it as done before it sends it: until it is sent, or taken back, it is owed."""
        self.owed[run] = entry
        self.apply_async(entry, **options)
        del self.owed[run]
        self.aside.clear(entry.key)

    def _set_aside(self, entry: Any, error: Exception, run: str) -> None:
        """Leave an entry out that cannot be sent, as if this turn had not come; raises `error` in an outage."""
        if is_outage(error):
            raise error
        cause = error.__context__ if isinstance(error, SchedulingError) and error.__context__ else error
        reason = str(cause) or type(cause).__name__
        if answer := answer_of(cause):
            # kombu's own clients do not note which key it was; most likely it is one of the queue.
            told = hasattr(answer, "broken_key") or not is_wrong_type(answer)
            reason = (None if told else self._wrong_key_of(entry)) or describe(client(), answer)
        self.unsure.discard(run)
        try:
            entry.take_back(run)
        except redis.ResponseError as refused:
            if is_outage(refused):
                raise
        self.owed.pop(run, None)
        self.aside.put(entry.key, entry.stored, reason)

    def _wrong_key_of(self, entry: Any) -> str | None:
        own = (entry.options or {}).get("queue") or getattr(self.app.tasks.get(entry.task), "queue", None)
        return queues.wrong_key(queues.name_of(own or self.app.amqp.router.route({}, entry.task)["queue"]))

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
