"""A stop that finishes or requeues every task, within STOP_GRACE, in every pool."""

import os
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

from stack.runtime import native
from stack.runtime.heartbeat import Heartbeat
from stack.worker.requeue import requeue_all

RESERVE = 15  # seconds before STOP_GRACE ends that are kept for requeueing what still runs


class Phase(Enum):
    """How far a worker is on its way to its end."""

    WORKING = "it takes tasks"
    DRAINING = "it takes no more tasks and finishes what it has"
    OVERDUE = "the time of its tasks is up: what still runs is requeued"


class Shutdown:
    """The countdown of a stop, in a thread of its own: the loop may be held up by what has to end.

    Args:
        grace: STOP_GRACE in seconds.
        gone: called as the worker's process ends.
    """

    def __init__(self, worker: Any, heartbeat: Heartbeat, grace: float, gone: Callable[[], None]):
        self.worker, self.heartbeat, self.gone = worker, heartbeat, gone
        self.time_of_tasks = grace - RESERVE
        self.phase = Phase.WORKING

    def begin(self, **_: Any) -> None:
        """Drain from here on. Safe in a signal handler, and once is enough."""
        if self.phase is not Phase.WORKING:
            return
        self.phase = Phase.DRAINING
        self.heartbeat.stopping()
        # A native thread: this is a signal handler, and on eventlet it may interrupt the hub, or a hang of it.
        native.threading.Thread(target=self._bound, name="stop-bound", daemon=True).start()

    def must_end_now(self, channel: Any) -> bool:
        """Asked by the loop at each turn: whether the loop itself ends this worker now, and does not return."""
        return False

    @property
    def holds_the_loop(self) -> bool:
        """Whether the loop waits for an answer of Redis, though it is overdue."""
        return False

    def _bound(self) -> None:
        self.heartbeat.write("stopping")
        native.sleep(self.time_of_tasks)
        self.phase = Phase.OVERDUE
        self._end()

    def _end(self) -> None:
        """Requeue what still runs and end the process, whatever hangs."""
        bound = native.threading.Timer(RESERVE / 2, os._exit, (1,))
        bound.daemon = True
        bound.start()
        requeue_all(self.worker)
        self.gone()
        os._exit(0)


class GreenShutdown(Shutdown):
    """The same for eventlet, whose locks are not for a native thread: the loop requeues, unless it hangs."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.gone = lambda: None  # it waits for locks of green threads; the note of this worker expires
        self._overdue_since = 0.0
        native.stop_hooks.append(self._signalled)

    def _signalled(self) -> bool:
        """A signal came; a second one requeues at once, where Celery's cold shutdown waits."""
        again = self.phase is not Phase.WORKING
        if again:
            self._mark_overdue()
        self.begin()
        return again

    def _mark_overdue(self) -> None:
        if self.phase is not Phase.OVERDUE:
            self.phase, self._overdue_since = Phase.OVERDUE, time.monotonic()

    def must_end_now(self, channel: Any) -> bool:
        """Whether it is overdue, and Redis will not answer the last BRPOP (1 s long) any more: what is requeued now
        could be that answer, and would be lost with this process."""
        asked = bool(getattr(channel, "_in_poll", None))
        return self.phase is Phase.OVERDUE and not (asked and time.monotonic() - self._overdue_since < 3)

    @property
    def holds_the_loop(self) -> bool:
        return self.phase is Phase.OVERDUE

    def _bound(self) -> None:
        self.heartbeat.write("stopping")
        native.sleep(self.time_of_tasks)
        self._mark_overdue()
        native.sleep(RESERVE / 3)
        self._end()
