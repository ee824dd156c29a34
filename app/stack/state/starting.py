"""How a task starts and ends in the process that runs it, whatever its base class does.

Celery makes a tracer for each task, which runs it, calls its hooks and stores its result. Ours stands around that one:
a task that was revoked, or whose arguments it does not take, never comes to it.
"""

import sys
from functools import wraps
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import Celery, states
from celery._state import _task_stack
from celery.app import trace
from celery.app.task import Context
from celery.backends.base import DisabledBackend
from celery.exceptions import Ignore

from stack.state import records, spared
from stack.state.schemas import Misfit, misfit

_build_tracer = trace.build_tracer
apps: set[int] = set()  # the apps whose tasks start so, by their id(): a process may have others


@wraps(_build_tracer)
def build_tracer(name: str, task: Any, *args: Any, **options: Any) -> Any:
    """As Celery's, with the stack's tracer around what it returns."""
    if id(task.app) not in apps:
        return _build_tracer(name, task, *args, **options)
    run = _build_tracer(name, task, *args, **options | {"Info": spared.Info})
    eager, propagate = options.get("eager", False), options.get("propagate", False)

    def trace_task(task_id: str, args: Any, kwargs: Any, request: Any = None) -> Any:
        context = Context(request or {}, args=args, called_directly=False, kwargs=kwargs)
        try:
            may_start = check(task, task_id, context, eager)
        except Exception as error:
            return _refuse(task, task_id, context, error, eager, propagate)
        if not may_start:
            return _ignore()
        answer = run(task_id, args, kwargs, request)
        if answer.info and isinstance(ended := answer.info.retval, spared.Requeued):
            spared.release(task, task_id, context)
            # Of an error outside the task's own code, as in storing its state, Celery returns the error itself.
            return answer._replace(retval=spared.as_info(ended))
        if not eager and not keeps_result(task, context):
            _note_end(task_id, answer)
        return answer

    return trace_task


def check(task: Any, task_id: str, context: Any, eager: bool) -> bool:
    """Claim the start of a task; false where it was revoked before.

    `task.apply()`, as in a team's own tests, asks nothing of Redis: nobody else can revoke it.

    Raises:
        Misfit: its arguments are not what it takes.
        redis.exceptions.RedisError: Redis does not answer for very long, or the key of the record is something else.
    """
    wrong = misfit(task, context.headers, context.args, context.kwargs)
    # One that was started before did fit then: delivered again, by an outage or to a newer version, it runs.
    if wrong and (eager or records.claimed(task_id, patient=True) is None):
        raise Misfit(wrong)
    if eager or records.claim(task_id, task.name, records.STARTED, patient=True) != records.REVOKED:
        return True
    task.backend.mark_as_revoked(task_id, records.WAS_REVOKED, request=context)
    return False


def keeps_result(task: Any, context: Any) -> bool:
    """Whether the result backend will say how a task ended."""
    return not isinstance(task.backend, DisabledBackend) and not trace.get_actual_ignore_result(task, context)


def _ignore() -> Any:
    """What a tracer returns of a task that raised Ignore: its message is acknowledged, and nothing is stored."""
    try:
        raise Ignore()
    except Ignore as error:
        return trace.trace_ok_t(ExceptionInfo(internal=True), trace.TraceInfo(states.IGNORED, error), 0.0, None)


def _refuse(task: Any, task_id: str, context: Any, error: Exception, eager: bool, propagate: bool) -> Any:
    """Fail a task that was not started, with all that follows a failure: its errbacks, `on_failure`, the signal."""
    if propagate:
        raise error
    _task_stack.push(task)
    task.request_stack.push(context)
    try:
        try:
            raise error
        except Exception:
            info = trace.TraceInfo(states.FAILURE, error)
            failed = info.handle_error_state(task, context, eager=eager)
            task.after_return(states.FAILURE, error, task_id, context.args, context.kwargs, failed)
        if not eager and not keeps_result(task, context):
            records.finish(task_id, states.FAILURE, error)
    finally:
        task.request_stack.pop()
        _task_stack.pop()
    return trace.trace_ok_t(failed, info, 0.0, None)


def _note_end(task_id: str, answer: Any) -> None:
    """Where no result is kept, put the end of a task into its record. Sending a retry has noted that by itself."""
    state = answer.info.state if answer.info else states.SUCCESS
    if state in (states.SUCCESS, states.FAILURE):
        records.finish(task_id, state, answer.info.retval if answer.info else None)


def install(app: Celery) -> None:
    """Have the tasks of `app` start this way, in every pool; a unit test fails when Celery makes tracers elsewhere."""
    apps.add(id(app))
    spared.install()
    trace.build_tracer = build_tracer
    # The worker's consumer takes the name when it is imported, the pool's processes and `apply` when they need it.
    if consumer := sys.modules.get("celery.worker.consumer.consumer"):
        consumer.build_tracer = build_tracer  # type: ignore[attr-defined]
