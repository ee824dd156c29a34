"""/api/schedules with a project's own scheduler: django_celery_beat's rows are edited, the settings' entries read."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.roles.conftest import PROJECT, Redis, Role, free_port
from tests.roles.test_any_scheduler import DATABASE, PERSISTENT, moments, variables
from tests.waiting import wait_until

ROWS = str(DATABASE.values[0])
# A row as django_celery_beat's admin makes it.
CLOCKED = """
from datetime import UTC, datetime, timedelta
from django_celery_beat.models import ClockedSchedule, PeriodicTask
clocked = ClockedSchedule.objects.create(clocked_time=datetime.now(UTC) + timedelta(days=1))
PeriodicTask.objects.create(name="once", task="ping", clocked=clocked, one_off=True)
"""


class Web:
    """A web role with a scheduler, asked by HTTP."""

    def __init__(self, role: Role, port: int):
        self.role, self.at = role, f"http://127.0.0.1:{port}/api/schedules"

    def call(self, method: str, name: str = "", **body: Any) -> requests.Response:
        return requests.request(method, f"{self.at}/{name}" if name else self.at, json=body or None, timeout=20)

    def schedules(self) -> dict[str, Any]:
        return {entry["name"]: entry for entry in self.call("GET").json()}


@pytest.fixture
def run_web(run_role: Callable[..., Role]) -> Iterator[Callable[[str], Web]]:
    """Start a web role whose beat has this scheduler, its tables made."""

    def run(scheduler: str) -> Web:
        port = free_port()
        role = run_role("web", WEB_BIND=f"127.0.0.1:{port}", WEB_WORKERS="1", **variables(scheduler))
        if scheduler == ROWS:
            command = [sys.executable, "manage.py", "migrate", "--noinput", "-v", "0"]
            subprocess.check_call(command, cwd=PROJECT / "app", env=role.env | {"SERVICE_ROLE": "migrate"})
        return Web(role.wait_ready(), port)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", [DATABASE])
def test_rows_of_django_celery_beat_are_made_run_changed_and_deleted(
    scheduler: str, run_web: Callable[[str], Web], run_role: Callable[..., Role], redis_server: Redis
) -> None:
    web = run_web(scheduler)
    made = web.call("PUT", "made", task="add", args=[1, 2], every=90, enabled=False, options={"priority": 3})
    assert made.status_code == 201, made.text
    assert made.json() == {"name": "made", "task": "add", "args": [1, 2], "kwargs": {}, "options": {"priority": 3}} | {
        "every": 90.0,
        "crontab": None,
        "schedule": "<freq: 1.50 minutes>",
        "relative": False,
        "enabled": False,
    } | {"last_run_at": None, "next_run_at": None, "total_run_count": 0, "problem": None, "read_only": None}
    run_role("beat", **variables(scheduler)).wait_ready()
    assert not moments(redis_server, "add")

    changed = web.call("PUT", "made", every=1, enabled=True)
    assert changed.status_code == 200, changed.text
    wait_until(lambda: len(moments(redis_server, "add")) >= 2, 10)
    entry = web.schedules()["made"]
    assert (entry["args"], entry["options"]) == ([1, 2], {"priority": 3})
    assert entry["total_run_count"] >= 2
    assert entry["last_run_at"]

    assert web.call("PUT", "made", crontab="0 9 * * 1-5").json()["crontab"] == "0 9 * * 1-5"
    assert web.call("DELETE", "made").status_code == 204
    assert "made" not in web.schedules()
    assert web.call("DELETE", "made").status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", [DATABASE])
def test_a_row_that_has_no_place_in_the_api_is_shown_to_read(scheduler: str, run_web: Callable[[str], Web]) -> None:
    web = run_web(scheduler)
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", CLOCKED]
    subprocess.check_call(command, cwd=PROJECT / "app", env=web.role.env)
    entry = web.schedules()["once"]
    assert "clocked" in entry["schedule"]
    assert entry["next_run_at"]
    assert "clocked" in entry["read_only"]
    for method in ("PUT", "DELETE"):
        answer = web.call(method, "once", enabled=False)
        assert answer.status_code == 409, answer.text
        assert "admin" in answer.json()["error"]["message"]
    for body, word in (
        ({"every": 5, "relative": True}, "relative"),
        ({"every": 5, "options": {"expires": 1.5}}, "expires"),
    ):
        refused = web.call("PUT", "other", task="ping", **body)
        assert (refused.status_code, word in refused.json()["error"]["message"]) == (422, True), refused.text


def test_where_a_scheduler_keeps_none_the_api_shows_the_settings_(run_web: Callable[[str], Web]) -> None:
    web = run_web(PERSISTENT)
    found = web.schedules()
    assert set(found) == {"each second", "each night"}
    assert (found["each second"]["every"], found["each night"]["crontab"]) == (1.0, "0 3 * * *")
    assert PERSISTENT in found["each second"]["read_only"]
    for method in ("PUT", "DELETE"):
        answer = web.call(method, "each second", enabled=False)
        assert answer.status_code == 409, answer.text
        assert PERSISTENT in answer.json()["error"]["message"]


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", [DATABASE])
def test_rows_that_nobody_reads_are_named_at_start(
    scheduler: str, run_web: Callable[[str], Web], run_role: Callable[..., Role]
) -> None:
    assert run_web(scheduler).call("PUT", "idle", task="ping", every=60).status_code == 201
    beat = run_role("beat", **variables("stack.beat.scheduler:Scheduler")).wait_ready()
    wait_until(lambda: "never run (idle)" in beat.log.read_text(), 10)
    assert "CELERY_BEAT_SCHEDULER = 'django_celery_beat.schedulers:DatabaseScheduler'" in beat.log.read_text()
