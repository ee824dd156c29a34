"""The calls of /api/schedules: beat's entries, changed at run time. Beat reads them anew at each turn."""

from datetime import timedelta
from typing import Any

import structlog
from celery import current_app
from celery.schedules import ParseException, crontab, schedule
from django.conf import settings
from django.http import HttpRequest
from ninja import Field, Path, Schema
from ninja.errors import HttpError
from redbeat.schedulers import ensure_conf

from stack.broker.connections import client
from stack.broker.keys import describe
from stack.http.api import Body, Problem
from stack.http.guarded import Router
from stack.http.room import room_for
from stack.runtime.env import get
from stack.state import entries, queues
from stack.state.clocks import FIELDS
from stack.state.entries import RESERVED, Entry
from stack.state.schedules import Unknown
from stack.state.schemas import api_task, api_tasks, bind
from stack.state.stored import Stored, keys, read

logger = structlog.get_logger(__name__)
router = Router(tags=["schedules"])
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


@router.get("", response={200: list[ScheduleOut], 503: Problem})
def list_schedules(request: HttpRequest) -> list[dict[str, Any]]:
    """Every schedule, by name, with its last and next run in TIME_ZONE, and what keeps it from running."""
    api_tasks()  # so that every task is known, with the queue it names
    known = queues.Known()
    shown = [_of(stored, known) for stored in read(current_app, keys(current_app)) if stored.definition or stored.error]
    return sorted(shown, key=lambda each: str(each["name"]))


@router.put("/{path:name}", response={200: ScheduleOut, 201: ScheduleOut, 422: Problem, 503: Problem})
def put(request: HttpRequest, name: Path[str], body: ScheduleIn) -> Any:
    """Make or change a schedule; beat goes by it within two seconds."""
    api_tasks()
    if not 0 < len(name) <= 200 or not name.isprintable() or name.startswith(RESERVED):
        raise HttpError(422, f"name: 1 to 200 printable characters, not beginning with {' or '.join(RESERVED)}")
    stored = _find(name)
    before = _entry_of(stored)
    try:
        entry = _entry(name, body, before)
    except ValueError as problem:
        raise HttpError(422, str(problem)) from None
    with room_for(len(entry.definition())):
        entry.save(anew=entry.follow(before), in_place_of=None if before else stored)
    _tell(name, before.definition() if before else None, entry.definition())
    return (200 if before else 201), _shown(entry)


@router.delete("/{path:name}", response={204: None, 404: Problem, 503: Problem})
def delete(request: HttpRequest, name: Path[str]) -> Any:
    """Delete a schedule; one of the settings stays deleted until `make schedules-reset`."""
    stored = _find(name)
    if stored is None:
        raise HttpError(404, f"There is no schedule {name[:200]!r}; GET /api/schedules lists them.")
    entries.delete(current_app, stored.key)
    _tell(name, stored.definition, None)
    return 204, None


def _find(name: str) -> Stored | None:
    """What is stored under this name, if anything is; it need not be a schedule that can run."""
    if name.startswith(RESERVED):
        return None
    ensure_conf(current_app)
    (stored,) = read(current_app, [Entry.generate_key(current_app, name)])
    return stored if stored.definition or stored.error else None


def _entry_of(stored: Stored | None) -> Entry | None:
    """The schedule that is stored; what can be none is replaced by the next one of its name."""
    try:
        return Entry.of(stored, current_app) if stored else None
    except ValueError:
        return None


def _entry(name: str, body: ScheduleIn, before: Entry | None) -> Entry:
    """The entry that `body` makes of the one before; ValueError names the argument that does not fit."""
    task_name = body.task or (before.task if before else None)
    if task_name is None:
        raise ValueError("task: a new schedule needs one.")
    args = body.args if body.args is not None else list(before.args or ()) if before else []
    kwargs = body.kwargs if body.kwargs is not None else dict(before.kwargs or {}) if before else {}
    if body.task or body.args is not None or body.kwargs is not None:
        task = api_task(task_name)
        if task is None:
            raise ValueError(f"task: there is no task {task_name[:200]!r}; GET /api/tasks lists those that may be run.")
        bind(task, args, kwargs)
    options = body.options.dict(exclude_none=True) if body.options else dict(before.options or {}) if before else {}
    if "queue" in options and body.options and (why := queues.Known().refusal(options["queue"])):
        raise ValueError(f"options.queue: {why}")
    return Entry(
        name=name,
        task=task_name,
        schedule=_schedule(body, before),
        args=args,
        kwargs=kwargs,
        options=options,
        enabled=body.enabled if body.enabled is not None else before.enabled if before else True,
        app=current_app._get_current_object(),
    )


def _schedule(body: ScheduleIn, before: Entry | None) -> Any:
    if body.every is not None and body.crontab is not None:
        raise ValueError("every: give either every or crontab, not both.")
    if body.crontab is not None:
        if body.relative:
            raise ValueError("relative: only with every; a crontab is at full minutes anyway.")
        try:
            return crontab.from_string(body.crontab)
        except (ValueError, ParseException) as problem:
            raise ValueError(f"crontab: {problem}; write minute hour day-of-month month day-of-week.") from None
    interval = before.schedule if before and type(before.schedule) is schedule else None
    every = body.every
    if every is None and interval and body.relative is not None:
        every = interval.run_every
    if every is not None:
        relative = body.relative if body.relative is not None else bool(interval and interval.relative)
        return schedule(every, relative=relative)
    if before and isinstance(before.schedule, Unknown):
        raise ValueError(f"every: this version does not know {before.schedule}; give every or crontab, or delete it.")
    if before is None:
        raise ValueError("every: a new schedule needs every (seconds) or crontab.")
    if body.relative:
        raise ValueError("relative: only with every.")
    return before.schedule


def _of(stored: Stored, known: queues.Known) -> dict[str, Any]:
    """A schedule, or what is known of one that is broken."""
    try:
        entry = Entry.of(stored, current_app)
        queue = (entry.options or {}).get("queue")
        # Beat finds it out when its time has come, of one that is switched off never.
        why = None if queue is None or stored.aside else known.refusal(queue)
        return _shown(entry, f"options.queue: {why}" if why else stored.aside)
    except ValueError as error:
        problem = describe(client(), stored.error) if stored.error else str(error)
    name = stored.key.removeprefix(current_app.redbeat_conf.key_prefix)
    return BROKEN | {"name": name, "problem": problem}


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


def _shown(entry: Any, problem: str | None = None) -> dict[str, Any]:
    kind = entry.schedule
    cron = None
    if isinstance(kind, crontab):
        cron = " ".join(str(getattr(kind, name)) for name in FIELDS)
    plain = type(kind) is schedule
    return {
        "name": entry.name,
        "task": entry.task,
        "args": list(entry.args or ()),
        "kwargs": entry.kwargs or {},
        "options": entry.options or {},
        "every": kind.run_every.total_seconds() if plain else None,
        "crontab": cron,
        "schedule": str(kind),
        "relative": bool(plain and kind.relative),
        "enabled": entry.enabled,
        "last_run_at": _local(entry.ran_at),
        "next_run_at": _local(entry.due_at) if entry.enabled else None,
        "total_run_count": entry.total_run_count,
        "problem": problem,
    }


def _local(moment: Any) -> str | None:
    if moment is None:
        return None
    # Rounded: Celery computes a next run from the time that is left, and comes out just before it.
    return (moment + timedelta(seconds=0.5)).astimezone(current_app.timezone).isoformat(timespec="seconds")


def _tell(name: str, before: str | None, after: str | None) -> None:
    # django-structlog adds the `ip`: the caller's, as far as stack.http.proxies believes what a proxy says.
    caller = "the API token" if get("API_TOKEN", settings.ENV) else "anybody: there is no API_TOKEN"
    logger.info("schedule changed", schedule=name, by=caller, before=before, after=after)
