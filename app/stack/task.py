"""The application and the base class of every task: what is accepted is recorded, what is revoked never starts."""

from typing import Any

from celery import Celery
from celery.contrib.django.task import DjangoTask
from celery.exceptions import Ignore
from celery.result import AsyncResult as CeleryAsyncResult
from kombu.utils.objects import cached_property
from kombu.utils.uuid import uuid

from stack.broker.configuration import soft_limit
from stack.state import records
from stack.state.schemas import MARK, Misfit, misfit


class AsyncResult(CeleryAsyncResult):
    def then(self, callback: Any, on_error: Any = None, weak: bool = False) -> Any:
        """As Celery's, without a subscription: a group calls this for each of its members, on a connection that a
        web process never reads (see stack/broker/backend.py). `get` subscribes itself."""
        return self.on_ready.then(callback, on_error)


class App(Celery):
    """Celery's application whose every send is recorded first, whoever sends: a view, a task, a canvas, beat."""

    task_cls = "stack.task:Task"
    amqp_cls = "stack.broker.routing:AMQP"
    events_cls = "stack.broker.events:Events"
    control_cls = "stack.broker.mailboxes:Control"

    @cached_property
    def AsyncResult(self) -> Any:  # noqa: N802 (Celery's name)
        return self.subclass_with_self("stack.task:AsyncResult")

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        task_id = options["task_id"] = options.get("task_id") or uuid()
        retries = options.get("retries") or 0
        records.accept(task_id, name, retries, patient=self.current_worker_task is not None)
        try:
            return super().send_task(name, args, kwargs, **options)
        except Exception:
            if not retries:
                _forget_quietly(task_id)
            raise


def _forget_quietly(task_id: str) -> None:
    try:
        records.forget(task_id)
    except Exception:  # Redis is what failed; the record expires by itself and the caller knows of the failure
        return


class Task(DjangoTask):
    """Base of every task of the project.

    Run again when its pool process dies (three times at most), and never started once revoked. A subclass that
    has a `before_start` of its own calls this one's.
    """

    abstract = True
    max_retries = 3
    default_retry_delay = 5
    #: Set `api=True` on a task to let the HTTP API run it.
    api = False
    #: Set `checked=True` to have the arguments of every call checked against the annotations, whoever makes it.
    checked = False

    @classmethod
    def bind(cls, app: Any) -> Any:
        """As Celery's; a `time_limit` of its own brings its own soft one, or the stack's would come after it."""
        if cls.time_limit is not None and cls.soft_time_limit is None:
            cls.soft_time_limit = soft_limit(cls.time_limit)
        return super().bind(app)

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        super().before_start(task_id, args, kwargs)
        wrong = misfit(self, args, kwargs)
        # One that was started before did fit then: delivered again, by an outage or to a newer version, it runs.
        if wrong and (self.request.is_eager or records.claimed(task_id, patient=True) is None):
            raise Misfit(wrong)
        if self.request.is_eager:
            return  # `task.apply()`, as in a team's own tests: nobody else can revoke it, and there may be no Redis
        if records.claim(task_id, self.name, records.STARTED, patient=True) == records.REVOKED:
            self.backend.mark_as_revoked(task_id, records.WAS_REVOKED, request=self.request)
            raise Ignore()

    def signature_from_request(self, request: Any = None, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """As Celery's, for `retry`: arguments that the task's own code gives did not come by the API."""
        again = super().signature_from_request(request, args, kwargs, **options)
        if (args, kwargs) != (None, None):
            again.options.get("headers", {}).pop(MARK, None)
        return again

    def progress(self, current: int, total: int) -> None:
        """Show how far this run is: state PROGRESS with {"current", "total"}."""
        if not self.request.is_eager:
            self.update_state(state="PROGRESS", meta={"current": current, "total": total})
