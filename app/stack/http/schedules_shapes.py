"""What the calls of /api/schedules take and give, and what a change of one makes of it, wherever it is kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

from celery import current_app
from celery.schedules import ParseException, crontab, schedule
from ninja import Field, Schema

from stack.http.offered import offered_task
from stack.http.shapes import Body
from stack.state import queues
from stack.state.clocks import FIELDS
from stack.state.schedules import Unknown
from stack.state.schemas import bind

MAX_EVERY = 366 * 86400


class Options(Body):
    queue: str | None = Field(
        default=None, max_length=100, description="one of the settings, or one that a worker ever served here"
    )
    expires: float | None = Field(default=None, strict=True, gt=0, le=MAX_EVERY)
    priority: int | None = Field(default=None, strict=True, ge=0, le=9)


class ScheduleIn(Body):
    """What is left out of a schedule that exists stays as it is; a new one needs `task` and `every` or `crontab`."""

    task: str | None = None
    args: list[Any] | None = Field(default=None, max_length=100)
    kwargs: dict[str, Any] | None = None
    options: Options | None = None
    every: float | None = Field(default=None, strict=True, ge=1, le=MAX_EVERY, description="seconds")
    crontab: str | None = Field(default=None, max_length=200, description="minute hour day-of-month month day-of-week")
    relative: bool | None = Field(default=None, description="run at full units of `every`: days, hours or minutes")
    enabled: bool | None = None


class ScheduleOut(Schema):
    name: str
    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    every: float | None
    crontab: str | None
    schedule: str
    relative: bool
    enabled: bool
    last_run_at: str | None
    next_run_at: str | None
    total_run_count: int
    problem: str | None = Field(
        description="Why beat has set it aside, while the others go on. It is tried again after each change of it, and "
        "every minute."
    )
    read_only: str | None = Field(default=None, description="Why it cannot be changed here, and where it can.")


# How a schedule is shown of which nothing can be read.
BROKEN: dict[str, Any] = {
    "task": "",
    "args": [],
    "kwargs": {},
    "options": {},
    "every": None,
    "crontab": None,
    "schedule": "",
    "relative": False,
    "enabled": False,
    "last_run_at": None,
    "next_run_at": None,
    "total_run_count": 0,
}


def called(body: ScheduleIn, before: Any) -> dict[str, Any]:
    """Task, arguments and options that `body` makes of the entry before, which may be None.

    Raises:
        ValueError: naming the argument that does not fit.
    """
    task_name = body.task or (before.task if before else None)
    if task_name is None:
        raise ValueError("task: a new schedule needs one.")
    args = body.args if body.args is not None else list(before.args or ()) if before else []
    kwargs = body.kwargs if body.kwargs is not None else dict(before.kwargs or {}) if before else {}
    if body.task or body.args is not None or body.kwargs is not None:
        try:
            bind(offered_task(task_name), args, kwargs)
        except LookupError as problem:
            raise ValueError(f"task: {problem}") from None
    options = body.options.dict(exclude_none=True) if body.options else dict(before.options or {}) if before else {}
    if "queue" in options and body.options and (why := queues.Known().refusal(options["queue"])):
        raise ValueError(f"options.queue: {why}")
    return {"task": task_name, "args": args, "kwargs": kwargs, "options": options}


def rule(body: ScheduleIn, before: Any) -> Any:
    """The schedule that `body` makes of the one before (None for a new entry). Raises as `called` does."""
    if body.every is not None and body.crontab is not None:
        raise ValueError("every: give either every or crontab, not both.")
    if body.crontab is not None:
        if body.relative:
            raise ValueError("relative: only with every; a crontab is at full minutes anyway.")
        try:
            return crontab.from_string(body.crontab)
        except (ValueError, ParseException) as problem:
            raise ValueError(f"crontab: {problem}; write minute hour day-of-month month day-of-week.") from None
    interval = before if type(before) is schedule else None
    every = body.every
    if every is None and interval and body.relative is not None:
        every = interval.run_every
    if every is not None:
        relative = body.relative if body.relative is not None else bool(interval and interval.relative)
        return schedule(every, relative=relative)
    if isinstance(before, Unknown):
        raise ValueError(f"every: this version does not know {before}; give every or crontab, or delete it.")
    if before is None:
        raise ValueError("every: a new schedule needs every (seconds) or crontab.")
    if body.relative:
        raise ValueError("relative: only with every.")
    return before


def shown(entry: Any, **more: Any) -> dict[str, Any]:
    """An entry as the API shows it; `more` has what only its keeper knows, the times among it."""
    kind = entry.schedule
    plain = type(kind) is schedule
    return {
        "name": entry.name,
        "task": entry.task,
        "args": list(entry.args or ()),
        "kwargs": entry.kwargs or {},
        "options": entry.options or {},
        "every": kind.run_every.total_seconds() if plain else None,
        "crontab": " ".join(str(getattr(kind, name)) for name in FIELDS) if isinstance(kind, crontab) else None,
        "schedule": " ".join(str(kind).split()),
        "relative": bool(plain and kind.relative),
        "enabled": True,
        "problem": None,
        **more,
    }


def next_run(kind: Any, last: datetime) -> str | None:
    """When a schedule runs next after its last run; None where there is no next run."""
    try:
        left = kind.remaining_estimate(last)
    except Exception:  # a schedule class of the project's that has no estimate, or a sun that does not rise
        return None
    return None if left is None else local(datetime.now(UTC) + max(left, timedelta(0)))


def local(moment: Any) -> str | None:
    """A moment in TIME_ZONE, to the second."""
    if moment is None:
        return None
    # Rounded: Celery computes a next run from the time that is left, and comes out just before it.
    return (moment + timedelta(seconds=0.5)).astimezone(current_app.timezone).isoformat(timespec="seconds")
