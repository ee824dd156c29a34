"""The schedules on the page, in a real Chromium: shown live, switched, made, changed and deleted."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.browser import needs_chromium, opened, screenshot
from tests.e2e.client import Client
from tests.e2e.targets import Operated, Target
from tests.machine import patience
from tests.waiting import wait_until

pytestmark = [needs_chromium, pytest.mark.slow]
NAME = "a-schedule-of-the-page"


@pytest.fixture
def schedule(api: Client) -> Iterator[str]:
    """A schedule that runs every second, deleted after the test."""
    put(api, NAME, task="ping", every=1)
    yield NAME
    api.call("DELETE", f"/api/schedules/{NAME}")


def put(api: Client, name: str, **body: Any) -> None:
    answer = api.call("PUT", f"/api/schedules/{name}", json=body)
    assert answer.status_code in (200, 201), answer.text


def enabled(api: Client, name: str) -> bool:
    return next(bool(entry["enabled"]) for entry in api.get("/api/schedules").json() if entry["name"] == name)


def row(page: Page, name: str) -> Locator:
    return page.get_by_test_id("schedule").filter(has=page.get_by_text(name, exact=True))


def test_a_schedule_is_switched_off_and_on_and_its_runs_are_counted(page: Page, api: Client, schedule: str) -> None:
    entry = row(page, schedule)
    switch, runs = entry.get_by_role("switch"), entry.get_by_test_id("schedule-runs")
    expect(entry).to_contain_text("every 1 s", timeout=patience(30_000))
    expect(switch).to_be_checked()
    expect(runs).not_to_have_text("0", timeout=patience(20_000))
    expect(entry.get_by_test_id("schedule-next")).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"))

    switch.focus()
    page.keyboard.press("Space")
    wait_until(lambda: not enabled(api, schedule), 5)
    expect(entry.get_by_test_id("schedule-next")).to_have_text("off")
    expect(switch).to_be_focused()
    screenshot(page, "page-schedules")

    page.keyboard.press("Space")
    wait_until(lambda: enabled(api, schedule), 5)
    expect(switch).to_be_checked()
    at = int(runs.inner_text())
    wait_until(lambda: int(runs.inner_text()) > at, 20)


def test_a_schedule_that_somebody_else_switches_is_seen(page: Page, api: Client, schedule: str) -> None:
    switch = row(page, schedule).get_by_role("switch")
    expect(switch).to_be_checked(timeout=patience(30_000))
    put(api, schedule, enabled=False)
    expect(switch).not_to_be_checked(timeout=patience(30_000))


def test_a_schedule_that_is_set_aside_says_why(page: Page, api: Client, operated: Operated, schedule: str) -> None:
    with operated.redis() as admin:  # as an older version took it
        definition = json.loads(admin.hget(f"redbeat:{schedule}", "definition")) | {"options": {"queue": "unacked"}}
        admin.hset(f"redbeat:{schedule}", "definition", json.dumps(definition))
    problem = row(page, schedule).get_by_test_id("schedule-problem")
    expect(problem).to_contain_text("Set aside: options.queue: 'unacked' is a key", timeout=patience(30_000))
    screenshot(page, "page-schedules-aside")


def test_times_are_the_servers_and_it_says_which(page: Page, api: Client) -> None:
    expect(page.get_by_test_id("time-zone")).to_have_text("UTC", timeout=patience(30_000))
    weekly = next(entry for entry in api.get("/api/schedules").json() if entry["name"] == "xsum_week1_20_20_00")
    shown = row(page, weekly["name"])
    expect(shown).to_contain_text("crontab 20 20 * * 1")
    expect(shown.get_by_test_id("schedule-next")).to_have_text(weekly["next_run_at"][:19].replace("T", " "))


@pytest.mark.slow
def test_many_schedules_show_fifty_and_the_filter_finds_any(page: Page, api: Client) -> None:
    names = [f"many-{number:04}" for number in range(120)]
    expect(page.get_by_test_id("schedules-section")).to_be_visible(timeout=patience(30_000))
    with ThreadPoolExecutor(4) as pool:
        try:
            list(pool.map(lambda name: put(api, name, task="ping", crontab="0 4 1 1 *"), names))
            page.reload()
            shown = page.get_by_test_id("schedules-shown")
            expect(shown).to_contain_text(re.compile(r"^The first 50 of 1\d\d\b"), timeout=patience(30_000))
            expect(page.get_by_test_id("schedule")).to_have_count(50)
            page.get_by_test_id("schedule-filter").fill("many-0077")
            expect(shown).to_have_text(re.compile(r"^1 that match, of 1\d\d in all"))
            row(page, "many-0077").get_by_role("switch").click()
            wait_until(lambda: not enabled(api, "many-0077"), 10)
            screenshot(page, "page-schedules-filter")
        finally:
            list(pool.map(lambda name: api.call("DELETE", f"/api/schedules/{name}"), names))


def entry(api: Client, name: str) -> dict[str, Any]:
    return next((dict(each) for each in api.get("/api/schedules").json() if each["name"] == name), {})


@pytest.fixture
def made(api: Client) -> Iterator[str]:
    """The name of a schedule that a test makes on the page."""
    yield "made-on-the-page"
    api.call("DELETE", "/api/schedules/made-on-the-page")


@pytest.mark.parametrize("width", [1280, 375])
def test_a_schedule_is_made_changed_and_deleted_by_keyboard_at_any_width(
    browser: Browser, stack: Target, api: Client, made: str, width: int
) -> None:
    size = {"width": width, "height": 800}
    with opened(browser, f"{stack.base_url}/", stack.api_token, viewport=size) as page:
        form, press = page.get_by_test_id("schedule-form"), page.keyboard.press
        page.get_by_test_id("schedule-new").press("Enter")
        expect(page.get_by_test_id("schedule-name")).to_be_focused()
        page.keyboard.type(made)
        page.get_by_test_id("schedule-task").select_option("add")
        page.get_by_test_id("schedule-every").fill("5")
        page.get_by_test_id("schedule-args").fill("[1, 2]")
        screenshot(page, f"page-schedule-form-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_test_id("schedule-args").press("Enter")

        expect(form).to_be_hidden()
        expect(page.get_by_test_id("schedule-new")).to_be_focused()
        seen = entry(api, made)
        assert (seen["task"], seen["args"], seen["every"], seen["enabled"]) == ("add", [1, 2], 5, True)
        page.get_by_test_id("schedule-filter").fill(made)
        shown = row(page, made)
        expect(shown).to_contain_text("add(1, 2)", timeout=patience(30_000))

        shown.get_by_test_id("schedule-edit").press("Enter")
        expect(page.get_by_test_id("schedule-rule")).to_be_focused()
        expect(page.get_by_test_id("schedule-name")).not_to_be_editable()
        page.get_by_test_id("schedule-rule").select_option("crontab")
        page.get_by_test_id("schedule-crontab").fill("0 4 * * *")
        page.get_by_test_id("schedule-args").fill("")
        page.get_by_test_id("schedule-kwargs").fill('{"x": 3, "y": 4}')
        page.get_by_test_id("schedule-save").press("Enter")

        expect(shown).to_contain_text("add(x=3, y=4)", timeout=patience(30_000))
        seen = entry(api, made)
        assert (seen["args"], seen["kwargs"], seen["crontab"]) == ([], {"x": 3, "y": 4}, "0 4 * * *")
        expect(shown.get_by_test_id("schedule-edit")).to_be_focused()

        press("Enter")
        page.get_by_test_id("schedule-delete").press("Enter")
        assert entry(api, made)
        expect(page.get_by_test_id("schedule-delete")).to_have_text("Press again to delete")
        press("Enter")
        expect(shown).to_have_count(0, timeout=patience(30_000))
        assert not entry(api, made)


def test_a_mistake_in_a_schedule_is_said_in_the_form_and_the_entries_stay(page: Page, api: Client, made: str) -> None:
    page.get_by_test_id("schedule-new").click()
    page.get_by_test_id("schedule-save").click()
    expect(page.get_by_test_id("schedule-name")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_test_id("schedule-name")).to_be_focused()

    page.get_by_test_id("schedule-name").fill(made)
    page.get_by_test_id("schedule-task").select_option("add")
    page.get_by_test_id("schedule-args").fill("[1]")
    page.get_by_test_id("schedule-save").click()
    expect(page.get_by_test_id("schedule-form-error")).to_contain_text("y: Field required")
    expect(page.get_by_test_id("schedule-args")).to_have_value("[1]")

    page.get_by_test_id("schedule-args").fill("1, 2")
    page.get_by_test_id("schedule-save").click()
    expect(page.get_by_test_id("schedule-args")).to_have_attribute("aria-invalid", "true")
    page.get_by_test_id("schedule-args").press("Escape")
    expect(page.get_by_test_id("schedule-form")).to_be_hidden()
    assert not entry(api, made)


def test_the_arguments_of_an_own_classs_schedule_change_and_its_rule_stays(page: Page, api: Client) -> None:
    name = "mail_on_the_last_business_day"
    before = entry(api, name)
    row(page, name).get_by_test_id("schedule-edit").click(timeout=patience(20_000))
    expect(page.get_by_test_id("schedule-rule")).to_have_value("same")
    try:
        page.get_by_test_id("schedule-kwargs").fill('{"to": "a@example.com", "subject": "New", "body": "b"}')
        page.get_by_test_id("schedule-save").click()
        expect(row(page, name)).to_contain_text('subject="New"', timeout=patience(30_000))
        after = entry(api, name)
        assert (after["schedule"], after["next_run_at"]) == (before["schedule"], before["next_run_at"])
    finally:
        put(api, name, kwargs=before["kwargs"])
