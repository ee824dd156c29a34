"""One leader among all beats, whatever the scheduler: the lock in Redis, the heartbeat, what happens in an outage."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from celery.beat import Scheduler, SchedulingError
from celery.signals import beat_init
from kombu.exceptions import OperationalError
from redbeat.schedulers import LUA_EXTEND_TO_SCRIPT, acquire_distributed_beat_lock, ensure_conf, get_redis

from stack.broker.by_role import LOCK, LOOP
from stack.broker.connections import answer_of
from stack.runtime.env import environment, heartbeat_path, loop_limit
from stack.runtime.heartbeat import Heartbeat, install

logger = logging.getLogger(__name__)
# RedBeat takes its lock here, waiting without an end before the first tick; ours is taken in tick().
beat_init.disconnect(acquire_distributed_beat_lock)

UNREACHABLE = (redis.RedisError, OperationalError, OSError)
LOST: tuple[type[Exception], ...] = (*UNREACHABLE, SchedulingError)
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


class Leader(Scheduler):
    """What stands before a scheduler class: one leader ticks, every other beat stands by.

    A standby takes over within lock + loop seconds. A leader that loses Redis or the lock stops ticking, takes the lock
    again and goes on.
    """

    lost = LOST

    def __init__(self, app: Any, **options: Any):
        conf = ensure_conf(app)
        self.lock: Any = None
        self.lock_key, self.lock_timeout = conf.lock_key, conf.lock_timeout or LOCK
        self.heartbeat: Heartbeat | None = None
        self.clock = time.time() - time.monotonic()
        self.prepared = False  # since this beat has the lock
        self.wrong = ""  # what keeps every schedule from running, besides an outage
        super().__init__(app, **options)

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
            self.keep_lock()
            if not self.prepared:
                self.prepare()
                self.prepared = True
            self.send_unsent()
            self._watch_the_clock()
            delay: float = super().tick(*args, **kwargs)
            self.wrong = ""
            self.heartbeat.turn("ready")
            return min(delay, LOOP)
        except self.lost as error:
            self.heartbeat.turn(self.why_not(error))
            return 1.0

    def keep_lock(self) -> None:
        """Let the lock live on; where the scheduler's own tick does not."""

    def prepare(self) -> None:
        """What the beat that has just taken the lock does first."""

    def send_unsent(self) -> None:
        """Send the runs that were noted as done and that an outage kept back."""

    def clock_was_set_back(self) -> None:
        """Go on from the clock of now."""

    def wrong_key(self) -> str | None:
        """Which of the keys that every schedule needs is broken, and what to do."""

    def why_not(self, error: Exception) -> str:
        """What keeps beat from ticking, in a line for the health check and, once, for the log."""
        try:
            said = answer_of(error) and (self.wrong_key() or f"Redis says: {answer_of(error)}")
        except UNREACHABLE as lost:
            said, error = None, lost
        if said:
            # The lock stays: a standby would find the same, and health would say that it stands by.
            return self.stays_wrong(said)
        logger.warning("beat: not ticking: %s", error)
        self.lock, self.prepared = None, False
        return "waiting for Redis"

    def stays_wrong(self, said: str) -> str:
        """Note, once in the log, what keeps every schedule from running."""
        if said != self.wrong:
            logger.error("beat: no schedule runs: %s", said)
        self.wrong = said
        return said

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

    def _watch_the_clock(self) -> None:
        """A clock that was set back must not silence beat for as long as it was ahead."""
        clock = time.time() - time.monotonic()
        if clock < self.clock - 5:
            logger.warning("beat: the clock was set back by %.0f s", self.clock - clock)
            self.clock_was_set_back()
        self.clock = clock

    def _ensure_connected(self) -> Any:
        # Celery tries for ever, in the middle of a tick; an outage is for the next turn.
        return self.connection.ensure_connection(None, 1, 0, 0.1, 0.1)

    def close(self) -> None:
        if self.heartbeat:
            self.heartbeat.stopping()
        try:
            if self.lock and self.lock.owned():
                logger.info("beat: releasing the lock")
                self.lock.release()
        except redis.RedisError as error:
            logger.warning("beat: could not release the lock, it ends by itself: %s", error)
        self.lock = None
        try:
            super().close()
        except self.lost as error:
            logger.warning("beat: could not write the last state: %s", error)
        if self.heartbeat:
            self.heartbeat.remove()
