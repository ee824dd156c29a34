"""Where a task goes: never into a key of Redis that is something else, whoever named the queue.

These are laid over the classes of the project's app, whatever those are.
"""

import logging
from functools import lru_cache
from typing import Any

from celery import current_task
from celery._state import get_current_worker_task
from celery.app import amqp, routes
from kombu.exceptions import OperationalError

from stack.broker.comeback import sending
from stack.broker.connections import answered, client
from stack.runtime import names

logger = logging.getLogger(__name__)
# A header of messages that come by the API: signatures carry it through a canvas, and messages through a retry.
MARK = "stack_from_api"
problem = lru_cache(1024)(names.problem)  # asked for each task that is sent


class ReservedQueue(ValueError):
    """A task was to be sent to a name that no queue may have."""


class Routed(routes.Router):
    """Over a router."""

    def route(self, options: Any, name: str, args: Any = (), kwargs: Any = None, task_type: Any = None) -> Any:
        """As Celery's, whose answer is the same for a `queue` of the call, of the task and of CELERY_TASK_ROUTES.

        Raises:
            ReservedQueue: the queue has a reserved name.
        """
        routed = super().route(options, name, args, kwargs, task_type)
        queue = routed.get("queue")
        wanted = [getattr(queue, "name", queue)] if queue else []
        if routed.get("exchange") == "":  # AMQP's anonymous exchange: the routing key is the queue
            wanted.append(routed.get("routing_key"))
        for each in wanted:
            if each and (why := problem(each)):
                raise ReservedQueue(f"the task {name} cannot be sent: its queue {each!r} {why}.")
        return routed


class Named(amqp.Queues):
    """Over the table of queues."""

    def select_add(self, queue: Any, **options: Any) -> Any:
        """As Celery's, for `add_consumer` of remote control: a worker that reads a key of others does nothing else.

        Raises:
            ReservedQueue: the queue has a reserved name.
        """
        name = getattr(queue, "name", queue)
        if why := problem(name):
            raise ReservedQueue(f"no worker can take tasks from {name!r}, which {why}.")
        return super().select_add(queue, **options)


class Sender(amqp.AMQP):
    """Over what makes messages of calls."""

    def Queues(self, *args: Any, **options: Any) -> Any:  # noqa: N802 (Celery's name)
        queues = super().Queues(*args, **options)
        queues.__class__ = over(Named, type(queues))
        return queues

    def Router(self, *args: Any, **options: Any) -> Any:  # noqa: N802 (Celery's name)
        router = super().Router(*args, **options)
        router.__class__ = over(Routed, type(router))
        return router

    def _create_task_sender(self) -> Any:
        send = super()._create_task_sender()

        def send_task_message(producer: Any, name: str, message: Any, *args: Any, **options: Any) -> Any:
            headers = options.get("headers")
            if headers and MARK in headers and gives_other_arguments(message):
                options["headers"] = {key: value for key, value in headers.items() if key != MARK}
            while True:
                try:
                    with sending():
                        return send(producer, name, message, *args, **options)
                except OperationalError as error:
                    # kombu tries for a few seconds. A task that sends another has until Redis is back, or an outage
                    # would make it fail; a request has not.
                    if answered(error) or not runs_in_a_worker():
                        raise
                    logger.warning("cannot send %s now, trying again when Redis answers: %s", name, error)
                    client(patient=True).ping()

        return send_task_message


def runs_in_a_worker() -> bool:
    """Whether this code is part of a task that a worker runs; `task.apply()` runs one anywhere."""
    task = get_current_worker_task()
    return task is not None and not task.request.is_eager


def gives_other_arguments(message: Any) -> bool:
    """Whether this is a retry to which the task's own code gives arguments: those did not come by the API."""
    running = current_task.request if current_task else None
    if not message.headers.get("retries") or running is None or running.id != message.headers["id"]:
        return False
    args, kwargs = message.body[:2]
    return (list(args), dict(kwargs)) != (list(running.args or ()), dict(running.kwargs or {}))


def over(layer: type, base: type) -> type:
    """A class with `layer` over `base`; `base` itself where it has it already."""
    return base if issubclass(base, layer) else type(base.__name__, (layer, base), {"__module__": layer.__module__})
