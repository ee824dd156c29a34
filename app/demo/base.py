"""The demo's base class: each hook writes a line and adds to a counter that /api/tasks shows."""

from typing import Any

import structlog

from stack.state import counters
from stack.task import Task

logger = structlog.get_logger(__name__)


class HookedTask(Task):
    """`on_success`, `on_failure`, `on_retry` and `after_return`, with an effect one can see."""

    abstract = True

    def _seen(self, hook: str, task_id: str, **fields: Any) -> None:
        logger.info(f"on_{hook}" if hook != "return" else "after_return", task=self.name, task_id=task_id, **fields)
        counters.count(self.name, hook)

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        self._seen("success", task_id)

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self._seen("failure", task_id, error=str(exc))

    def on_retry(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self._seen("retry", task_id, error=str(exc), retries=self.request.retries)

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self._seen("return", task_id, status=status)
