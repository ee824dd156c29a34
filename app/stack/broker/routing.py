"""Where a task goes: never into a key of Redis that is something else, whoever named the queue."""

from functools import lru_cache
from typing import Any

from celery.app import amqp, routes

from stack.runtime import names

problem = lru_cache(1024)(names.problem)  # asked for each task that is sent


class ReservedQueue(ValueError):
    """A task was to be sent to a name that no queue may have."""


class Router(routes.Router):
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


class Queues(amqp.Queues):
    def select_add(self, queue: Any, **options: Any) -> Any:
        """As Celery's, for `add_consumer` of remote control: a worker that reads a key of others does nothing else.

        Raises:
            ReservedQueue: the queue has a reserved name.
        """
        name = getattr(queue, "name", queue)
        if why := problem(name):
            raise ReservedQueue(f"no worker can take tasks from {name!r}, which {why}.")
        return super().select_add(queue, **options)


class AMQP(amqp.AMQP):
    queues_cls = Queues

    def Router(self, queues: Any = None, create_missing: Any = None) -> Router:  # noqa: N802 (Celery's name)
        return Router(
            self.routes,
            queues or self.queues,
            self.app.either("task_create_missing_queues", create_missing),
            app=self.app,
        )
