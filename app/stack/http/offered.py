"""The tasks that the API offers, by name; who asks for another learns where they are listed."""

from celery import Task

from stack.http.places import api_root
from stack.state.schemas import api_task


def offered_task(name: str) -> Task:
    """The task of this name, if the API may run it.

    Raises:
        LookupError: it may not, or there is none; the text says where those are that it may run.
    """
    if task := api_task(name):
        return task
    raise LookupError(f"there is no task {name[:200]!r}; {listed_at('tasks')} lists those that may be run.")


def listed_at(kind: str) -> str:
    """The call that lists what is of a kind, as `GET /api/tasks`."""
    return f"GET {api_root() or '/api/'}{kind}"
