"""The demo's base class: each hook writes a line and adds to a counter that the list of tasks shows."""

from typing import Any

import structlog
from celery import current_app
from celery.contrib.django.task import DjangoTask

logger = structlog.get_logger(__name__)
HOOKS = ("success", "failure", "retry", "return")


def _key() -> str:
    # One hash in the store of results, named as a group's: each worker may write there, and the web may read.
    return str(current_app.backend.get_key_for_group("counters"), "ascii")


def counters(tasks: list[str]) -> dict[str, dict[str, int]]:
    """How often each hook of each task ran, by task and hook; the setting STACK_TASK_COUNTERS names this function."""
    stored = current_app.backend.client.hgetall(_key())
    return {task: {hook: int(stored.get(f"{task} {hook}".encode(), 0)) for hook in HOOKS} for task in tasks}


class HookedTask(DjangoTask):
    """`on_success`, `on_failure`, `on_retry` and `after_return`, with an effect one can see."""

    abstract = True
    default_retry_delay = 5

    def _seen(self, hook: str, task_id: str, **fields: Any) -> None:
        logger.info(f"on_{hook}" if hook != "return" else "after_return", task=self.name, task_id=task_id, **fields)
        try:
            self.backend.client.hincrby(_key(), f"{self.name} {hook}", 1)
        except Exception as error:  # a counter is not worth a failed task: an outage loses the count only
            logger.warning("not counted", hook=hook, task=self.name, error=str(error))

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        self._seen("success", task_id)

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self._seen("failure", task_id, error=str(exc))

    def on_retry(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self._seen("retry", task_id, error=str(exc), retries=self.request.retries)

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self._seen("return", task_id, status=status)
