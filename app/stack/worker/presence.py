"""A worker notes itself in Redis, every few seconds and at each change, so that a request need not ask all workers.

Asking over Celery's mailboxes (`inspect`) takes a second or more, and a busy solo worker does not answer. A
note is one key that expires: a worker that is killed is gone LASTS seconds later, one that stops takes its note
along.
"""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import redis
from celery.worker import state as worker_state

from stack.broker.connections import new_client
from stack.runtime.env import get
from stack.runtime.names import problem
from stack.state.queues import SERVED
from stack.state.workers import NAMES, key, notes
from stack.worker.oldest import Oldest

logger = logging.getLogger(__name__)
LOOK, EVERY, LASTS = 1, 3, 15  # seconds; one lost note, or a slow one, must not hide a worker


class Presence:
    """Notes one worker from a thread of its own, so that Redis's absence never holds the worker's loop.

    Args:
        name: the worker's node name.
        about: gives what the note says; it must not block.
    """

    def __init__(self, name: str, about: Callable[[], dict[str, Any]]):
        self.name, self.about = name, about
        self.since = datetime.now(UTC).isoformat(timespec="seconds")
        # Not the process's shared client: a pool process is forked while this thread may hold its lock.
        self.redis = new_client(seconds=1)
        self.oldest = Oldest(self.redis)
        self._end, self._noting = threading.Event(), threading.Lock()
        self._failed: set[Callable[[], None]] = set()  # steps whose last try failed, which was said once
        self._noted, self._noted_at = "", 0.0

    def start(self) -> None:
        """Begin to note."""
        threading.Thread(target=self._run, name="presence", daemon=True).start()

    def remove(self) -> None:
        """The worker ends: nobody must count on it. Takes two seconds at most, when Redis hangs."""
        if self._end.is_set():
            return
        self._end.set()
        if not self._noting.acquire(timeout=1):
            return  # a note is stuck in an outage; it expires
        try:
            self.redis.delete(key(self.name))
            self.redis.srem(NAMES, self.name)
        except redis.RedisError as error:
            logger.info("the note of this worker expires by itself: %s", error)
        finally:
            self._noting.release()

    def _run(self) -> None:
        self._try(self._forget_the_gone)
        while not self._end.is_set():
            self._try(self._note)
            self._try(self.oldest.look)
            self._end.wait(LOOK)

    def _try(self, step: Callable[[], None]) -> None:
        with self._noting:
            if self._end.is_set():
                return
            try:
                step()
                self._failed.discard(step)
            except Exception as error:  # whatever it is, the next note may succeed, and tasks go on
                if step not in self._failed:
                    logger.warning("this worker is not shown in /api/workers until Redis takes its note: %s", error)
                self._failed.add(step)

    def _note(self) -> None:
        note = {"since": self.since, **self.about()}
        text = json.dumps(note)
        if text == self._noted and time.monotonic() - self._noted_at < EVERY:
            return
        self._noted = ""  # until it is known to be there
        pipe = self.redis.pipeline(transaction=False)
        # A full Redis refuses what follows, but keeps an older note alive.
        pipe.expire(key(self.name), LASTS)
        pipe.set(key(self.name), text, ex=LASTS)
        pipe.sadd(NAMES, self.name)
        # These stay: schedules may send to a queue whose workers are scaled to zero. One that is made for each worker
        # (a broadcast's) would only pile up.
        if lasting := [queue for queue in note["queues"] if not problem(queue) and not queue.startswith("bcast.")]:
            pipe.sadd(SERVED, *lasting)
        pipe.execute()
        self._noted, self._noted_at = text, time.monotonic()

    def _forget_the_gone(self) -> None:
        """Containers have a new name each time; what killed ones left behind must not pile up."""
        if gone := [name for name, note in notes(self.redis).items() if note is None]:
            self.redis.srem(NAMES, *gone)


def about(worker: Any, state: str, env: dict[str, str]) -> dict[str, Any]:
    """What a worker tells of itself, besides its name; `state` is the text of its heartbeat."""
    active = len(worker_state.active_requests)
    return {
        "ready": state == "ready",
        "state": state,
        "pool": get("WORKER_POOL", env),
        "concurrency": worker.concurrency,
        "queues": sorted(worker.app.amqp.queues.consume_from),
        "active": active,
        "reserved": max(0, len(worker_state.reserved_requests) - active),
        "delayed": len(worker_state.scheduled_requests),
        "delayed_in": _by_queue(worker_state.scheduled_requests),
    }


def _by_queue(requests: Iterable[Any]) -> dict[str, int]:
    """How many of these requests came from each queue."""
    for _ in range(3):
        with suppress(RuntimeError):  # the main loop took one in, or let one go, meanwhile
            return Counter(str(request.delivery_info["routing_key"]) for request in requests)
    return {}
