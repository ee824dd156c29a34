"""The calls of /api/schedules: what beat runs, changed at run time where its scheduler lets it be changed."""

from types import ModuleType
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.http import HttpRequest
from ninja import Path
from ninja.errors import HttpError

from stack.http import schedules_redis, schedules_rows, schedules_settings
from stack.http.guarded import Router
from stack.http.offered import listed_at
from stack.http.schedules_shapes import ScheduleIn, ScheduleOut
from stack.http.shapes import Problem
from stack.runtime.env import get
from stack.state import chosen
from stack.state.schemas import api_tasks

logger = structlog.get_logger(__name__)
router = Router(tags=["schedules"])
KEEPERS: dict[str, ModuleType] = {
    chosen.REDIS: schedules_redis,
    chosen.DATABASE: schedules_rows,
    chosen.SETTINGS: schedules_settings,
}


@router.get("", response={200: list[ScheduleOut], 503: Problem})
def list_schedules(request: HttpRequest) -> list[dict[str, Any]]:
    """Every schedule, by name, with its last and next run in TIME_ZONE, and what keeps it from running."""
    api_tasks()  # so that every task is known, with the queue it names
    return sorted(_keeper().listed(), key=lambda each: str(each["name"]))


@router.put("/{path:name}", response={200: ScheduleOut, 201: ScheduleOut, 409: Problem, 422: Problem, 503: Problem})
def put(request: HttpRequest, name: Path[str], body: ScheduleIn) -> Any:
    """Make or change a schedule; beat goes by it within two seconds."""
    api_tasks()
    if not 0 < len(name) <= 200 or not name.isprintable():
        raise HttpError(422, "name: 1 to 200 printable characters")
    try:
        shown, before, after = _keeper().save(name, body)
    except ValueError as problem:
        raise HttpError(422, str(problem)) from None
    _tell(name, before, after)
    return (201 if before is None else 200), shown


@router.delete("/{path:name}", response={204: None, 404: Problem, 409: Problem, 503: Problem})
def delete(request: HttpRequest, name: Path[str]) -> Any:
    """Delete a schedule; one of the settings stays deleted until `make schedules-reset`."""
    before = _keeper().delete(name)
    if before is None:
        raise HttpError(404, f"There is no schedule {name[:200]!r}; {listed_at('schedules')} lists them.")
    _tell(name, before, None)
    return 204, None


def _keeper() -> Any:
    return KEEPERS[chosen.kind(current_app)]


def _tell(name: str, before: str | None, after: str | None) -> None:
    # django-structlog adds the `ip`: the caller's, as far as stack.http.proxies believes what a proxy says.
    caller = "the API token" if get("API_TOKEN", settings.STACK_ENV) else "anybody: there is no API_TOKEN"
    logger.info("schedule changed", schedule=name, by=caller, before=before, after=after)
