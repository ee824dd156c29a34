"""django_celery_beat's rows. Its scheduler learns of each change by the row PeriodicTasks, as of one in the admin."""

import json
from datetime import UTC, datetime
from typing import Any

from celery import current_app
from celery.schedules import crontab, schedule
from django.apps import apps
from django.db import transaction
from ninja.errors import HttpError

from stack.http.schedules_shapes import BROKEN, ScheduleIn, called, local, next_run, rule, shown
from stack.state import queues, runs
from stack.state.clocks import FIELDS

KINDS = ("interval", "crontab", "solar", "clocked")
UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
READ_ONLY = "A {} schedule is changed in django_celery_beat's admin."


def _model(name: str) -> Any:
    return apps.get_model("django_celery_beat", name)


class _Entry:
    """A row with the fields of an entry. ValueError: the row holds no JSON, or has no schedule."""

    def __init__(self, row: Any):
        self.row, self.name, self.task = row, row.name, row.task
        self.args, self.kwargs = json.loads(row.args or "[]"), json.loads(row.kwargs or "{}")
        if row.scheduler is None:
            raise ValueError("it has no interval, crontab, solar or clocked schedule")
        self.schedule = row.schedule
        given = {"queue": row.queue, "priority": row.priority, "expires": row.expire_seconds}
        self.options = {name: value for name, value in given.items() if value is not None}


def listed() -> list[dict[str, Any]]:
    """Every periodic task as the API shows it."""
    noted, known = runs.read(), queues.Known()
    return [_shown(row, noted.get(row.name), known) for row in _model("PeriodicTask").objects.select_related(*KINDS)]


def save(name: str, body: ScheduleIn) -> tuple[dict[str, Any], str | None, str]:
    """Make or change a periodic task; returns how it is shown, and what it was before and after.

    Raises:
        ValueError: naming the argument that does not fit.
    """
    rows = _model("PeriodicTask").objects.select_related(*KINDS)
    row = rows.filter(name=name).first()
    if row and (kind := _read_only(row)):
        raise HttpError(409, READ_ONLY.format(kind))
    try:
        before = _Entry(row) if row else None
    except ValueError:
        before = None  # what can be none is replaced by what has its name
    text = _text(row) if row else None
    call, wanted = called(body, before), rule(body, before.schedule if before else None)
    row = row or _model("PeriodicTask")(name=name)
    row.task, row.args, row.kwargs = call["task"], json.dumps(call["args"]), json.dumps(call["kwargs"])
    if body.options or before is None:
        options = call["options"]
        row.queue, row.priority = options.get("queue"), options.get("priority")
        row.expire_seconds = _whole(options.get("expires"))
        if row.expire_seconds:
            row.expires = None
    if body.enabled is not None:
        row.enabled = body.enabled
    with transaction.atomic():
        if before is None or wanted is not before.schedule:
            row.interval, row.crontab = _kept(wanted, row)
        row.save()
    return _shown(row, runs.read().get(name), queues.Known()), text, _text(row)


def delete(name: str) -> str | None:
    """Delete a periodic task; returns what it was, or None where there is none."""
    row = _model("PeriodicTask").objects.select_related(*KINDS).filter(name=name).first()
    if row is None:
        return None
    if kind := _read_only(row):
        raise HttpError(409, READ_ONLY.format(kind))
    text = _text(row)
    row.delete()
    runs.forget([name])
    return text


def _read_only(row: Any) -> str | None:
    return "clocked" if row.clocked else "solar" if row.solar else None


def _kept(wanted: Any, row: Any) -> tuple[Any, Any]:
    """The row of an interval and that of a crontab for a schedule; one of them is None.

    Raises:
        ValueError: django_celery_beat has none for it.
    """
    if isinstance(wanted, crontab):
        fields = dict(
            zip(("minute", "hour", "day_of_month", "month_of_year", "day_of_week"), _fields(wanted), strict=True)
        )
        zone = row.crontab.timezone if row.crontab else current_app.timezone
        return None, _one("CrontabSchedule", timezone=zone, **fields)
    if not isinstance(wanted, schedule):
        raise ValueError(f"every: {wanted} has no row in django_celery_beat; give every or crontab.")
    if wanted.relative:
        raise ValueError("relative: django_celery_beat has no such intervals; give a crontab.")
    seconds = wanted.run_every.total_seconds()
    for period, size in UNITS.items():
        if seconds % size == 0:
            return _one("IntervalSchedule", every=int(seconds // size), period=period), None
    return _one("IntervalSchedule", every=round(seconds * 1e6), period="microseconds"), None


def _one(name: str, **fields: Any) -> Any:
    # Not get_or_create: people make the same row twice in the admin.
    model = _model(name)
    return model.objects.filter(**fields).first() or model.objects.create(**fields)


def _fields(kind: crontab) -> list[str]:
    return [str(getattr(kind, name)) for name in FIELDS]


def _whole(seconds: float | None) -> int | None:
    if seconds is None:
        return None
    if seconds != int(seconds):
        raise ValueError("options.expires: django_celery_beat keeps whole seconds.")
    return int(seconds)


def _text(row: Any) -> str:
    """What a row is, for the log."""
    names = ("task", "args", "kwargs", "queue", "priority", "expire_seconds", "enabled")
    return json.dumps({name: getattr(row, name) for name in names} | {"schedule": str(row.scheduler)}, sort_keys=True)


def _shown(row: Any, noted: str | None, known: queues.Known) -> dict[str, Any]:
    kind = _read_only(row)
    read_only = READ_ONLY.format(kind) if kind else None
    try:
        entry = _Entry(row)
    except ValueError as error:
        return BROKEN | {"name": row.name, "task": row.task, "problem": str(error), "read_only": read_only}
    run = runs.loads(noted)
    # The scheduler writes its rows every three minutes.
    ran = [moment for moment in (row.last_run_at, run.at if run and run.count else None) if moment]
    last = max(map(runs.aware, ran)) if ran else None
    queue = entry.options.get("queue")
    why = known.refusal(queue) if queue else None
    after = runs.aware(last or row.date_changed or datetime.now(UTC))
    return shown(
        entry,
        enabled=row.enabled,
        last_run_at=local(last),
        next_run_at=next_run(entry.schedule, after.astimezone(current_app.timezone)) if row.enabled else None,
        total_run_count=max(row.total_run_count, run.count if run else 0),
        problem=f"options.queue: {why}" if why else None,
        read_only=read_only,
    )
