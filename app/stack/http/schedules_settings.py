"""The entries of the settings, to read: where beat's scheduler keeps them in a place of its own."""

from typing import Any

from celery import current_app
from celery.beat import ScheduleEntry
from ninja.errors import HttpError

from stack.broker.precedence import called
from stack.http.schedules_shapes import BROKEN, ScheduleIn, local, next_run, shown
from stack.state import chosen, runs


def _why() -> str:
    schedule, scheduler = (called(current_app.conf, name) for name in ("beat_schedule", "beat_scheduler"))
    return (
        f"Beat uses {chosen.name()}, which takes its schedules from the settings: change {schedule}, or remove "
        f"{scheduler} to have schedules that are changed here."
    )


def listed() -> list[dict[str, Any]]:
    """Every entry of CELERY_BEAT_SCHEDULE as the API shows it."""
    noted, why = runs.read(), _why()
    return [_shown(name, fields, noted.get(name), why) for name, fields in current_app.conf.beat_schedule.items()]


def save(name: str, body: ScheduleIn) -> tuple[dict[str, Any], str | None, str]:
    """Refused, with what to do."""
    raise HttpError(409, _why())


def delete(name: str) -> str | None:
    """Refused, with what to do."""
    raise HttpError(409, _why())


def _shown(name: str, fields: Any, noted: str | None, why: str) -> dict[str, Any]:
    try:
        entry = ScheduleEntry(**dict(fields, name=name, app=current_app._get_current_object()))
    except (TypeError, ValueError, KeyError) as error:
        return BROKEN | {
            "name": name,
            "problem": f"{called(current_app.conf, 'beat_schedule')}: {error}",
            "read_only": why,
        }
    run = runs.loads(noted)
    return shown(
        entry,
        last_run_at=local(run.at) if run and run.count else None,
        next_run_at=next_run(entry.schedule, run.at if run else entry.default_now()),
        total_run_count=run.count if run else 0,
        read_only=why,
    )
