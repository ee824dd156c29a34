"""The worker's sign of life, and a stop that finishes or hands back every task.

Celery's `maybe_shutdown` is called on each turn of the consumer's loop and every second while it reconnects,
in every pool. Of all places tried it alone is fresh in an outage and stale in a hang, so the heartbeat
hangs there. It is a private name: Celery is pinned, and a unit test fails when it moves.
"""

import atexit
import logging
import os
import signal
import time
from collections.abc import Iterable
from typing import Any

import celery.worker.consumer.consumer as consumer_module
import redis
from celery import Celery, bootsteps, signals
from celery.worker import state as worker_state
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu.exceptions import OperationalError

from stack.broker import masks, transport
from stack.broker.connections import client, server_problem
from stack.broker.mailboxes import FlowerControl
from stack.broker.transport import put_back, read_paused, settle
from stack.runtime import native
from stack.runtime.env import environment, get, heartbeat_path, loop_limit
from stack.runtime.heartbeat import Heartbeat, install
from stack.runtime.serving import verify
from stack.worker.presence import Presence, about

logger = logging.getLogger(__name__)
OUTAGE = (OperationalError, redis.RedisError)
OWED_FOR = 600  # seconds in which what could not be put back is tried again; then others may have it
HAND_BACK = 15  # seconds before STOP_GRACE ends that are kept for handing back what still runs


class Life(bootsteps.StartStopStep):
    """Starts the heartbeat with the worker and the countdown with its stop."""

    def __init__(self, worker: Any, **_: Any):
        verify()
        env = environment()
        self.worker = worker
        self.channel: Any = None
        self.idle = self.was_idle = self.draining = False
        self.overdue = 0.0  # when the time of the tasks was up
        self.count = 0  # of the tasks that were ever begun
        self.owed: set[str] = set()  # tags of what could not be put back, and until when that is tried again
        self.owed_until = self.owed_next = 0.0
        self.soft_timeout = get("STOP_GRACE", env) - HAND_BACK
        self.heartbeat = Heartbeat(
            heartbeat_path("worker", env), loop_limit("worker", env), lambda: hand_back(self.worker)
        )
        self.presence = Presence(worker.hostname, lambda: about(self.worker, self.heartbeat.state, env))
        worker_state.maybe_shutdown = consumer_module.maybe_shutdown = self._watched(worker_state.maybe_shutdown)
        signals.worker_shutting_down.connect(self._stopping, weak=False)
        native.stop_hooks.append(self._signalled)
        signals.worker_shutdown.connect(lambda **_: self._gone(), weak=False)

    def start(self, worker: Any) -> None:
        install(self.heartbeat)
        self.presence.start()
        atexit.register(self._at_exit, os.getpid())

    def _gone(self) -> None:
        self.heartbeat.remove()
        self.presence.remove()

    def _at_exit(self, pid: int) -> None:
        """However the worker came to its end (a second Ctrl-C, `celery control shutdown`, an error that it could
        not recover from): nothing runs any more, and what it still holds goes back."""
        if os.getpid() != pid:
            return
        self._gone()
        if self.channel is None:
            return
        give_back({*self.channel.qos.held(), *(request.message.delivery_tag for request in unfinished())})

    def _watched(self, maybe_shutdown: Any) -> Any:
        def turn() -> Any:
            # A task that ended in the last turn is acknowledged in this one: idle is two turns without a task. A
            # solo pool's task begins and ends within one turn; only the count tells.
            count, self.count = self.count, worker_state.all_total_count[0]
            self.idle, self.was_idle = self.was_idle, not worker_state.reserved_requests and count == self.count
            self._notice_a_new_channel()
            if not self.heartbeat.is_stopping:
                self.heartbeat.turn(why_not_ready(self.worker) or "ready")
            elif self.overdue and native.is_green():
                if self._may_still_receive():
                    return None
                self._put_back(self.channel)
                hand_back(self.worker)
                self._gone()
                os._exit(0)
            elif worker_state.should_terminate is None:
                if not (self.idle and self.was_idle):
                    return None
                self._put_back(self.channel)
            return maybe_shutdown()

        return turn

    def _notice_a_new_channel(self) -> None:
        """After a reconnect: put back what came over the old connection and does not run; on a stop: drain.

        Draining, because Celery's own warm shutdown leaves the loop at once, and then drops what a pool process
        was given but has not yet reported as begun: that task runs, is put back and runs again, and the stop
        takes 30 s. Here the loop goes on until no task is left.
        """
        tasks = self.worker.consumer.task_consumer
        if not tasks or not self.worker.consumer.connection:
            return
        read_paused(self.worker.consumer.connection)
        if self.owed and time.monotonic() > self.owed_next:
            self._pay()
        if tasks.channel is not self.channel:
            old, self.channel = self.channel, tasks.channel
            self._wait_shorter(self.worker.consumer.connection)
            self._put_back(old)
            self.draining = False
        if self.heartbeat.is_stopping and not self.draining:
            self.draining = True
            tasks.cancel()

    def _wait_shorter(self, connection: Any) -> None:
        """Bound what Celery's loop for green pools, and for every pool on Windows, waits for Redis: 2 s.

        Nothing wakes it when a task ends. With all slots taken it would run one task a second in each, and a stop
        would take two such waits.
        """
        drain = connection.drain_events

        def drain_events(timeout: float | None = None, **options: Any) -> Any:
            soon = self.heartbeat.is_stopping or not self.channel.qos.can_consume()
            return drain(timeout=min(timeout or 0.02, 0.02) if soon else timeout, **options)

        connection.drain_events = drain_events

    def _put_back(self, channel: Any) -> None:
        if channel is None:
            return
        running = {request.message.delivery_tag for request in list(worker_state.active_requests)}
        self.owed |= {tag for tag in channel.qos.held() if tag not in running}
        self.owed_until = time.monotonic() + OWED_FOR
        self._pay()

    def _pay(self) -> None:
        """Put back what is owed; where Redis is away or full, it stays owed for a while."""
        if give_back(self.owed) or time.monotonic() > self.owed_until:
            self.owed = set()
        self.owed_next = time.monotonic() + 2

    def _stopping(self, **_: Any) -> None:
        if self.heartbeat.is_stopping:
            return
        self.heartbeat.stopping()
        # A native thread: this is a signal handler, and on eventlet it may interrupt the hub, or a hang of it.
        native.threading.Thread(target=self._bound, name="stop-bound", daemon=True).start()

    def _signalled(self) -> bool:
        """In a green worker, a signal came; a second one hands back at once, where Celery's cold shutdown waits."""
        again = self.heartbeat.is_stopping
        if again and not self.overdue:
            self.overdue = time.monotonic()
        self._stopping()
        return again

    def _may_still_receive(self) -> bool:
        """Whether Redis may still answer the last BRPOP, 1 s long: what is put back now would be that answer, and
        would be lost with this process."""
        return bool(getattr(self.channel, "_in_poll", None)) and time.monotonic() - self.overdue < 3

    def _bound(self) -> None:
        self.heartbeat.write("stopping")
        native.sleep(self.soft_timeout)
        self.overdue = time.monotonic()
        if native.is_green():
            # The locks of green threads are not for this one: the loop hands back itself, unless it hangs.
            native.sleep(HAND_BACK / 3)
        bound = native.threading.Timer(HAND_BACK / 2, os._exit, (1,))
        bound.daemon = True
        bound.start()
        hand_back(self.worker)
        if not native.is_green():
            self.presence.remove()
        os._exit(0)


def why_not_ready(worker: Any) -> str | None:
    """What keeps this worker from taking tasks, or None: it is connected and consumes from a queue."""
    consumer = getattr(worker, "consumer", None)
    if consumer is None or consumer.blueprint.state != bootsteps.RUN or not consumer.connection:
        return "not connected to Redis"
    if not consumer.connection.connected:
        return "not connected to Redis"
    tasks = consumer.task_consumer
    if not tasks or not tasks.queues:
        return "connected, but consuming from no queue"
    return None


def give_back(tags: Iterable[str]) -> bool:
    """Acknowledge what ended while Redis was away, and put `tags` back into their queues; false in an outage."""
    try:
        settle()
        put_back(tags)
    except OUTAGE as error:
        logger.error("what this worker holds comes back after VISIBILITY_TIMEOUT: %s", error)
        return False
    return True


def unfinished() -> list[Any]:
    """The requests that this worker holds and has not acknowledged."""
    return [request for request in list(worker_state.requests.values()) if not request.acknowledged]


def hand_back(worker: Any) -> None:
    """Put every task that this worker holds back into its queue, then end its pool's processes.

    The children are frozen first: one that finished or died now would be acknowledged or retried by the main
    thread at the same time. Where Redis does not answer, the tasks come back after VISIBILITY_TIMEOUT.
    """
    processes = getattr(getattr(worker.pool, "_pool", None), "_pool", ())  # prefork's; other pools have none
    children = [process.pid for process in processes if hasattr(process, "pid")]
    for pid in children:
        _kill(pid, signal.SIGSTOP)
    held = unfinished()
    try:
        # More than the requests that Celery lists: not those that wait for their rate limit, nor a retry whose first
        # run has just ended.
        tasks = getattr(worker.consumer, "task_consumer", None)
        tags = set(tasks.channel.qos.held()) if tasks else set()
        put_back(tags | {request.message.delivery_tag for request in held})
        for request in held:
            logger.warning("handed back %s[%s]", request.name, request.id)
    except Exception as error:  # whatever happens here, the process ends and Redis still holds the tasks
        logger.error("could not hand back %d tasks, they return after VISIBILITY_TIMEOUT: %s", len(held), error)
    for pid in children:
        _kill(pid, signal.SIGKILL)


def _kill(pid: int, signum: int) -> None:
    try:
        os.kill(pid, signum)
    except OSError:
        pass


def warn_of_an_old_redis(**_: Any) -> None:
    """Say plainly at the first connection what would fail obscurely later."""
    try:
        version = client().info("server")["redis_version"]
    except redis.RedisError:  # it went away again, or its ACL does not let us ask
        return
    if problem := server_problem(version):
        logger.critical("%s", problem)


def install_steps(app: Celery) -> None:
    """Give every worker of `app` its heartbeat, its bounded stop and its mailbox for Flower."""
    app.steps["worker"].add(Life)
    app.steps["worker"].add(DjangoStructLogInitStep)
    app.steps["consumer"].add(FlowerControl)
    transport.install()
    masks.install()
    signals.worker_ready.connect(warn_of_an_old_redis, weak=False)
