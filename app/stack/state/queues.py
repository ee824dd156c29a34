"""Which queues there are: what the settings, the tasks' own options and the routes of the project name.

Celery knows those of CELERY_TASK_QUEUES alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from celery import current_app
from celery.app.routes import MapRoute, prepare
from celery.utils.functional import maybe_evaluate
from django.conf import settings
from kombu import Queue

from stack.broker.connections import client
from stack.runtime.env import get
from stack.runtime.names import problem

# Every queue that a worker ever served here; workers add to it, and it stays when they go.
SERVED = "stack:queues"
NAMED = 20  # accepted names that one message tells


def name_of(queue: Any) -> str:
    """The name of a queue that is given by its name or as kombu's Queue."""
    return str(getattr(queue, "name", queue))


def of(task: Any) -> str:
    """The queue to which a task goes, by its own option or by CELERY_TASK_ROUTES.

    Raises:
        stack.broker.routing.ReservedQueue: a function of CELERY_TASK_ROUTES names one that no queue may have.
    """
    if own := getattr(task, "queue", None):
        return name_of(own)
    routed = current_app.amqp.router.route({}, task.name, task_type=task)
    if queue := routed.get("queue"):
        return name_of(queue)
    return _bound(routed.get("exchange"), routed.get("routing_key")) or str(current_app.conf.task_default_queue)


def _bound(exchange: Any, routing_key: Any) -> str | None:
    """The queue of the settings that is bound to an exchange by this key, where a route names these and no queue."""
    name = name_of(exchange or "")
    if not name:  # AMQP's anonymous exchange: the routing key is the queue
        return routing_key
    for queue in current_app.amqp.queues.values():
        if name_of(queue.exchange) == name and queue.routing_key == routing_key:
            return str(queue.name)
    return None


def named(app: Any = None) -> dict[str, Any]:
    """Every queue that the project names, by its name: kombu's Queue where the project has one, else None.

    A function of CELERY_TASK_ROUTES is asked for each task, without the arguments of a call. What it answers to other
    arguments, and what a call of `apply_async(queue=…)` names, nobody can know before.
    """
    app = app or current_app
    conf, found = app.conf, dict[str, Any]()
    _add(found, [conf.task_default_queue, *_declared(conf.task_queues)])
    _add(found, _of_tables(conf.task_routes))
    _add(found, _of_schedule(conf.beat_schedule or {}))
    _add(found, of_django_tasks())
    functions = [maybe_evaluate(route) for route in prepare(conf.task_routes) if not isinstance(route, MapRoute)]
    for task in app.tasks.values():
        _add(found, [getattr(task, "queue", None), *(_asked(function, task) for function in functions)])
    return found


def of_django_tasks() -> list[str]:
    """The queues of Django's own tasks, as TASKS has them; the one called "default" is Celery's default queue."""
    entries = (getattr(settings, "TASKS", None) or {}).values()
    ours = [entry for entry in entries if str(entry.get("BACKEND", "")).startswith("stack.django_tasks.")]
    return [queue for entry in ours for queue in entry.get("QUEUES", ()) if queue != "default"]


def of_settings() -> set[str]:
    """Every queue that the project or WORKER_QUEUES names."""
    return {*named(), *(queue for queue in get("WORKER_QUEUES", settings.STACK_ENV) if not queue.startswith("-"))}


def of_queues(queues: Any) -> set[str]:
    """The names of CELERY_TASK_QUEUES, which is a list of kombu's Queue or a mapping."""
    return {name_of(queue) for queue in queues or ()}


def of_routes(routes: Any) -> set[str]:
    """The queues that CELERY_TASK_ROUTES names; one that a function names shows when it is asked."""
    return {name_of(queue) for queue in _of_tables(routes) if queue}


def of_entries(entries: dict[str, Any]) -> set[str]:
    """The queues that the entries of CELERY_BEAT_SCHEDULE name."""
    return {name_of(queue) for queue in _of_schedule(entries) if queue}


def _add(found: dict[str, Any], queues: Iterable[Any]) -> None:
    for queue in queues:
        if queue:
            name = name_of(queue)
            found[name] = queue if isinstance(queue, Queue) else found.get(name)


def _declared(queues: Any) -> Iterable[Any]:
    """What CELERY_TASK_QUEUES declares, but for queues that are made for each worker anew (a broadcast's)."""
    return [queue for queue in queues or () if not getattr(queue, "auto_delete", False)]


def _of_tables(routes: Any) -> Iterable[Any]:
    tables = [route for route in prepare(routes) if isinstance(route, MapRoute)]
    return (_of_option(each) for table in tables for each in (*table.map.values(), *table.patterns.values()))


def _of_schedule(entries: dict[str, Any]) -> Iterable[Any]:
    for fields in entries.values():
        yield _of_option(
            (fields.get("options") if isinstance(fields, dict) else getattr(fields, "options", None)) or {}
        )


def _of_option(option: Any) -> Any:
    """The queue of a route's or an entry's options, which may be pairs, or the name of a queue alone."""
    if isinstance(option, list | tuple):
        option = dict(option)
    return option.get("queue") if isinstance(option, Mapping) else option


def _asked(function: Any, task: Any) -> Any:
    """What a function, or an object with `route_for_task`, says of a task; None where it needs the call's arguments."""
    try:
        if hasattr(function, "route_for_task"):
            return _of_option(function.route_for_task(task.name, (), {}))
        return _of_option(function(task.name, (), {}, {}, task=task))
    except Exception:  # the project's own code, which may look at arguments that are not there
        return None


def served() -> set[str]:
    """Every queue that a worker ever served here.

    Raises:
        redis.exceptions.RedisError: Redis does not answer.
    """
    return set(client().smembers(SERVED))


class Known:
    """The queues to which a schedule may send; Redis is asked for one that the settings do not name."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def refusal(self, queue: Any) -> str | None:
        """Why a schedule must not send to `queue`, with the names that are accepted; None where it may.

        Raises:
            redis.exceptions.RedisError: Redis does not answer.
        """
        if why := problem(queue):
            return f"{queue!r} {why}."
        self.names = self.names or of_settings()
        if queue in self.names:
            return None
        self.names |= {name for name in served() if not problem(name)}
        if queue in self.names:
            return None
        accepted = sorted(self.names)
        more = f" and {len(accepted) - NAMED} more" if len(accepted) > NAMED else ""
        return (
            f"{queue!r} is no queue of this project: the settings do not name it, and no worker ever served it here. "
            f"It must be one of {', '.join(accepted[:NAMED])}{more}. "
            "For a new one start a worker with it in WORKER_QUEUES."
        )
