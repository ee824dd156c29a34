"""Tasks that every project has."""

from typing import Any

from celery import shared_task
from django.utils.module_loading import import_string


@shared_task(name="ping", api=True)
def ping() -> str:
    """Answer "pong": proves the chain from HTTP to a worker and back.

    Touches nothing, so running it twice is safe.
    """
    return "pong"


@shared_task(name="stack.django_tasks.run", bind=True, ignore_result=False, max_retries=3, default_retry_delay=5)
def run_django_task(self: Any, call: dict[str, Any]) -> Any:
    """Run one of the project's functions that are Django tasks (stack/django_tasks).

    Running it twice is as safe as the function is.
    """
    # By its name: not every project has Django's task API, which that module needs.
    return import_string("stack.django_tasks.running.execute")(call, self.request)
