"""The worker's heartbeat, and a stop that finishes or requeues every task: one step of Celery's worker.

Celery's `maybe_shutdown` is called on each turn of the consumer's loop and every second while it reconnects,
in every pool. Of all places tried only it is fresh in an outage and stale in a hang, so the heartbeat
hangs there. It is a private name: Celery is pinned, and a unit test fails when it moves.
"""

import atexit
import logging
import os
from typing import Any

import celery.worker.consumer.consumer as consumer_module
import redis
from celery import Celery, bootsteps, signals
from celery.worker import state as worker_state
from django_structlog.celery.steps import DjangoStructLogInitStep

from stack.broker import masks
from stack.broker.configuration import soft_limit
from stack.broker.connections import client, server_problem
from stack.broker.mailboxes import FlowerControl
from stack.broker.transport import read_paused
from stack.runtime import native
from stack.runtime.env import environment, get, heartbeat_path, loop_limit
from stack.runtime.heartbeat import Heartbeat, install
from stack.runtime.serving import verify
from stack.worker import outcomes, queues
from stack.worker import paused as databases
from stack.worker.paused import paused
from stack.worker.presence import Presence, about
from stack.worker.requeue import Requeue, requeue_all
from stack.worker.shutdown import GreenShutdown, Phase, Shutdown

logger = logging.getLogger(__name__)


class Supervision(bootsteps.StartStopStep):
    """Looks after the worker at each turn of its loop: its heartbeat, its requeueing, its stop."""

    def __init__(self, worker: Any, **_: Any):
        verify()
        env = environment()
        self.worker = worker
        if get("TASK_TIME_LIMIT", env):
            give_soft_limits(worker.app)
        self.heartbeat = Heartbeat(
            heartbeat_path("worker", env), loop_limit("worker", env), lambda: requeue_all(self.worker)
        )
        self.requeue = Requeue()
        self.presence = Presence(worker.hostname, lambda: about(self.worker, self.heartbeat.state, env))
        kind = GreenShutdown if native.is_green() else Shutdown
        self.shutdown = kind(worker, self.heartbeat, get("STOP_GRACE", env), self.presence.remove)
        self.idle = Idle()
        self.cancelled: Any = None  # the consumer that takes no more tasks
        worker_state.maybe_shutdown = consumer_module.maybe_shutdown = self._watched(worker_state.maybe_shutdown)
        signals.worker_shutting_down.connect(self.shutdown.begin, weak=False)
        signals.worker_shutdown.connect(lambda **_: self._gone(), weak=False)

    def start(self, worker: Any) -> None:
        install(self.heartbeat)
        outcomes.install()
        databases.install()
        self.presence.start()
        atexit.register(self._at_exit, os.getpid())

    def _gone(self) -> None:
        self.heartbeat.remove()
        self.presence.remove()

    def _at_exit(self, pid: int) -> None:
        """However the worker came to its end (a second Ctrl-C, `celery control shutdown`, an error that it could
        not recover from): nothing runs any more, and what it still holds is requeued."""
        if os.getpid() == pid:
            self._gone()
            self.requeue.everything()

    def _watched(self, maybe_shutdown: Any) -> Any:
        def turn() -> Any:
            self.idle.turn()
            self._look_at_the_channel()
            paused.turn()
            if self.shutdown.phase is Phase.WORKING:
                self.heartbeat.turn(why_not_ready(self.worker) or paused.why or "ready")
            elif self.shutdown.must_end_now(self.requeue.channel):
                self.requeue.drain()
                requeue_all(self.worker)
                self._gone()
                os._exit(0)
            elif self.shutdown.holds_the_loop:
                return None
            elif worker_state.should_terminate is None:
                if not self.idle.is_sure:
                    return None
                self.requeue.drain()
            return maybe_shutdown()

        return turn

    def _look_at_the_channel(self) -> None:
        """After a reconnect: requeue what came over the old connection and does not run; on a stop: drain.

        Draining, because Celery's own warm shutdown leaves the loop at once, and then drops what a pool process
        was given but has not yet reported as begun: that task runs, is requeued and runs again, and the stop
        takes 30 s. Here the loop goes on until no task runs.
        """
        tasks, connection = self.worker.consumer.task_consumer, self.worker.consumer.connection
        if not tasks or not connection:
            return
        read_paused(connection)
        self.requeue.try_again()
        if tasks.channel is not self.requeue.channel:
            self._wait_shorter(connection, tasks.channel)
            paused.close(tasks.channel)
            self.requeue.use(tasks.channel)
            self.cancelled = None
        if self.shutdown.phase is not Phase.WORKING and self.cancelled is not tasks:
            self.cancelled = tasks
            tasks.cancel()

    def _wait_shorter(self, connection: Any, channel: Any) -> None:
        """Bound what Celery's loop for green pools, and for every pool on Windows, waits for Redis: 2 s.

        Nothing wakes it when a task ends. With all slots taken it would run one task a second in each, and a stop
        would take two such waits.
        """
        drain = connection.drain_events

        def drain_events(timeout: float | None = None, **options: Any) -> Any:
            full = not paused and not channel.qos.can_consume()
            soon = self.shutdown.phase is not Phase.WORKING or full
            return drain(timeout=min(timeout or 0.02, 0.02) if soon else timeout, **options)

        connection.drain_events = drain_events


class Idle:
    """Whether the worker runs nothing, by its loop's turns.

    A task that ended in the last turn is acknowledged in this one, so idle is two turns without a task. A solo pool's
    task begins and ends within one turn; only the count of the tasks that were ever begun tells.
    """

    def __init__(self) -> None:
        self._count = 0
        self._now = self._before = False

    def turn(self) -> None:
        """Note one turn of the loop."""
        count, self._count = self._count, worker_state.all_total_count[0]
        self._before, self._now = self._now, not worker_state.reserved_requests and count == self._count

    @property
    def is_sure(self) -> bool:
        """Whether nothing ran in this turn and in the one before."""
        return self._now and self._before


def give_soft_limits(app: Celery) -> None:
    """Ask each task to end before its hard limit, by SoftTimeLimitExceeded, where its own code gives no such limit."""
    for task in app.tasks.values():
        if task.time_limit and not task.soft_time_limit:
            task.soft_time_limit = soft_limit(task.time_limit)


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
    app.steps["worker"].add(Supervision)
    app.steps["worker"].add(DjangoStructLogInitStep)
    app.steps["consumer"].add(FlowerControl)
    masks.install()
    queues.install()
    signals.worker_ready.connect(warn_of_an_old_redis, weak=False)
