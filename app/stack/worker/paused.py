"""A worker takes no tasks while a database of the project is away: they would all come to it and be requeued.

The first task that meets the outage closes the gate, a query on that database opens it again. What the worker holds
and has not begun is requeued.
"""

import logging
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.worker.request import Request
from celery.worker.state import task_ready

from stack.runtime import native
from stack.state import answering
from stack.state.outages import Outage
from stack.state.spared import Requeued

logger = logging.getLogger(__name__)
FIRST, EVERY = 1.0, 2.0  # seconds until the first query, and between two


class Paused:
    """Which databases this worker waits for."""

    def __init__(self) -> None:
        self._outages: dict[str, Outage] = {}
        self._said: dict[str, str] = {}  # by the thread that asks: why not yet, "" for one that answers
        self._asking: Any = None
        self._next = 0.0

    def __bool__(self) -> bool:
        """Whether it takes no tasks."""
        return bool(self._outages)

    @property
    def why(self) -> str | None:
        """What keeps this worker from taking tasks, in one line; None where nothing does."""
        outages = "; ".join(map(str, list(self._outages.values())))
        return f"takes no tasks: {outages}" if outages else None

    def begin(self, outage: Outage) -> None:
        """A task met this outage. Called by whatever thread its pool has."""
        if outage.alias not in self._outages:
            logger.warning("%s: this worker takes no tasks until it answers", outage)
            self._next = time.monotonic() + FIRST
        self._outages[outage.alias] = outage

    def turn(self) -> None:
        """Ask again, in a thread, when it is time; called at each turn of the worker's loop."""
        if not self._outages or (self._asking and self._asking.is_alive()):
            return
        for alias, why in self._said.items():
            if not why and alias in self._outages:
                del self._outages[alias]
                logger.warning("the database %r answers again: this worker takes tasks", alias)
        self._said = {}
        if self._outages and time.monotonic() > self._next:
            self._next = time.monotonic() + EVERY
            # A native thread, which logs nothing: eventlet's locks are not for it.
            ask = partial(self._ask, list(self._outages.values()))
            self._asking = native.threading.Thread(target=ask, name="database", daemon=True)
            self._asking.start()

    def _ask(self, outages: list[Outage]) -> None:
        self._said = {outage.alias: answering.why_not(outage.alias, outage.kind) for outage in outages}

    def gate(self, execute: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """What gives a task to the pool; while the worker waits, it is requeued instead."""

        def hold(request: Any) -> Any:
            if not self._outages:
                return execute(request)
            task_ready(request)  # it is no longer reserved
            return request.reject(requeue=True)

        return hold

    def close(self, channel: Any) -> None:
        """Have this channel take no message while the worker waits."""
        can_consume = channel.qos.can_consume
        channel.qos.can_consume = lambda: not self._outages and can_consume()


paused = Paused()  # a process has one worker
_on_failure = Request.on_failure


@wraps(_on_failure)
def on_failure(self: Any, exc_info: Any, *args: Any, **options: Any) -> Any:
    """As Celery's, after the gate was closed: else this worker would take the message again at once."""
    error = exc_info.exception
    error = error.exc if isinstance(error, ExceptionWithTraceback) else error
    if isinstance(error, Requeued) and error.outage:
        paused.begin(error.outage)
        logger.info("requeued %s[%s]: %s", self.name, self.id, error.outage)
    return _on_failure(self, exc_info, *args, **options)


def install() -> None:
    """Notice outages from here on, in this worker."""
    Request.on_failure = on_failure
