"""The page where a schedule cannot be changed on it: it says why, and offers nothing that would be refused."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import chromium, needs_chromium, opened
from tests.roles.conftest import PROJECT, Role, free_port
from tests.roles.test_any_scheduler import DATABASE, PERSISTENT, variables
from tests.roles.test_any_scheduler_api import CLOCKED, ROWS

pytestmark = [needs_chromium, pytest.mark.slow, pytest.mark.xdist_group("fixed schedules")]
EDITABLE = """
from django_celery_beat.models import IntervalSchedule, PeriodicTask
every = IntervalSchedule.objects.create(every=90, period="seconds")
PeriodicTask.objects.create(name="often", task="ping", interval=every)
"""


@pytest.fixture
def run_web(run_role: Callable[..., Role]) -> Callable[..., str]:
    """Start a web role whose beat has this scheduler, with rows that `code` makes; returns its page's address."""

    def run(scheduler: str, code: str = "") -> str:
        port = free_port()
        role = run_role("web", WEB_BIND=f"127.0.0.1:{port}", WEB_WORKERS="1", **variables(scheduler))
        for arguments in (["migrate", "--noinput"], *([["shell", "-c", code]] if code else [])):
            command = [sys.executable, "manage.py", *arguments, "-v", "0"]
            subprocess.check_call(command, cwd=PROJECT / "app", env=role.env | {"SERVICE_ROLE": "migrate"})
        role.wait_ready()
        return f"http://127.0.0.1:{port}/"

    return run


def row(page: Page, name: str) -> Any:
    return page.get_by_test_id("schedule").filter(has=page.get_by_text(name, exact=True))


def test_where_beat_reads_the_settings_alone_the_page_says_so_once(run_web: Callable[..., str]) -> None:
    with chromium() as browser, opened(browser, run_web(PERSISTENT)) as page:
        note = page.locator("#schedules-note")
        expect(note).to_contain_text(f"Beat uses {PERSISTENT}")
        expect(note).to_contain_text("change CELERY_BEAT_SCHEDULE")
        expect(page.get_by_test_id("schedule")).to_have_count(2)
        for name in ("each second", "each night"):
            expect(row(page, name).get_by_role("switch")).to_be_disabled()
            expect(row(page, name).get_by_role("switch")).to_be_checked()
            expect(row(page, name).get_by_test_id("schedule-edit")).to_be_hidden()
            expect(row(page, name).get_by_test_id("schedule-read-only")).to_have_text("")
        expect(page.get_by_test_id("task-select")).to_be_visible()  # the tasks are known, so New could be there
        expect(page.get_by_test_id("schedule-new")).to_be_hidden()


@pytest.mark.parametrize("scheduler", [DATABASE])
def test_a_row_that_the_page_cannot_change_says_why_beside_those_it_can(
    scheduler: str, run_web: Callable[..., str]
) -> None:
    assert scheduler == ROWS
    with chromium() as browser, opened(browser, run_web(scheduler, CLOCKED + EDITABLE)) as page:
        fixed, editable = row(page, "once"), row(page, "often")
        expect(fixed.get_by_test_id("schedule-read-only")).to_contain_text("clocked")
        expect(fixed.get_by_role("switch")).to_be_disabled()
        expect(fixed.get_by_test_id("schedule-edit")).to_be_hidden()
        expect(editable.get_by_test_id("schedule-edit")).to_be_visible()
        expect(editable.get_by_role("switch")).to_be_enabled()
        expect(editable.get_by_test_id("schedule-read-only")).to_have_text("")
        expect(page.locator("#schedules-note")).to_be_hidden()
        expect(page.get_by_test_id("schedule-new")).to_be_visible()
