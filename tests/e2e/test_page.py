"""The page in a real Chromium. Screenshots of each state go to report/, for people to look at."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.browser import needs_chromium, screenshot
from tests.e2e.targets import Target
from tests.e2e.test_datasets import WEATHER
from tests.machine import patience
from tests.waiting import wait_until

pytestmark = needs_chromium


def first_job(page: Page) -> Locator:
    """The newest job: it stands on top."""
    return page.get_by_test_id("job").first


def submit_add(page: Page, x: str, y: str) -> None:
    page.get_by_test_id("task-select").select_option("add")
    page.get_by_test_id("field-x").fill(x)
    page.get_by_test_id("field-y").fill(y)
    page.get_by_test_id("submit").click()


@pytest.mark.runtime
def test_a_task_is_picked_filled_in_and_its_result_seen(page: Page) -> None:
    submit_add(page, "2", "3.5")

    expect(first_job(page)).to_have_attribute("data-state", "SUCCESS", timeout=patience(30_000))
    expect(first_job(page).get_by_test_id("job-result")).to_have_text("5.5")
    expect(page.get_by_test_id("counters")).to_contain_text("add")
    screenshot(page, "page-add")


def test_every_task_has_a_form_made_from_its_schema(page: Page) -> None:
    fields = {
        "mul": ["x", "y"],
        "xsum": ["numbers"],
        "sleep": ["seconds"],
        "fail": ["message"],
        "flaky": ["failures"],
        "summarize": ["dataset"],
        "send_mail": ["to", "subject", "body"],
        "ping": [],
    }
    for task, names in fields.items():
        page.get_by_test_id("task-select").select_option(task)
        for name in names:
            expect(page.get_by_label(name, exact=True)).to_be_visible()
        assert page.get_by_test_id("task-fields").locator("input, textarea, select").count() == len(names), task
        expect(page.get_by_test_id("task-doc")).not_to_be_empty()


def test_a_mistake_is_marked_at_its_field_and_nothing_is_sent(page: Page) -> None:
    submit_add(page, "", "3")

    expect(page.get_by_test_id("field-x")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_test_id("field-x")).to_be_focused()
    expect(page.locator("#arg-x-error")).not_to_be_empty()
    expect(page.get_by_test_id("job")).to_have_count(0)
    screenshot(page, "page-mistake")


def test_a_failure_shows_its_error(page: Page) -> None:
    page.get_by_test_id("task-select").select_option("fail")
    page.get_by_test_id("field-message").fill("<b>the disk is on fire</b>")
    page.get_by_test_id("submit").click()

    expect(first_job(page)).to_have_attribute("data-state", "FAILURE")
    expect(first_job(page).get_by_test_id("job-error")).to_contain_text("<b>the disk is on fire</b>")
    screenshot(page, "page-failure")


def test_an_uploaded_csv_shows_its_progress_and_its_statistics(page: Page, tmp_path: Path) -> None:
    header, *days = WEATHER.read_text().splitlines()
    large = tmp_path / "forty times.csv"
    large.write_text("\n".join([header, *days * 80]))

    page.get_by_test_id("csv-file").set_input_files(large)
    page.get_by_test_id("upload").click()

    bar = first_job(page).get_by_test_id("job-progress")
    expect(bar).to_be_visible(timeout=patience(20_000))
    expect(bar).to_have_attribute("max", str(80 * 1461), timeout=patience(20_000))
    screenshot(page, "page-progress")
    expect(first_job(page)).to_have_attribute("data-state", "SUCCESS", timeout=patience(60_000))
    expect(bar).to_be_hidden()
    result = first_job(page).get_by_test_id("job-result")
    expect(result).to_contain_text(f"rows: {80 * 1461}")
    expect(result.get_by_role("rowheader", name="temp_max")).to_be_visible()
    screenshot(page, "page-statistics")


def test_what_cannot_be_uploaded_is_said_at_the_form(page: Page, tmp_path: Path) -> None:
    for name, content, said in (
        ("empty.csv", b"", "empty"),
        ("latin.csv", "größe\n1\n".encode("latin-1"), "UTF-8"),
        ("large.csv", b"a\n" + b"1\n" * (3 * 1024 * 1024), "5 MiB"),
    ):
        (tmp_path / name).write_bytes(content)
        page.get_by_test_id("csv-file").set_input_files(tmp_path / name)
        page.get_by_test_id("upload").click()
        expect(page.get_by_test_id("upload-error")).to_contain_text(said)


# Behind a proxy it is the proxy that answers, with a 503.
AWAY = re.compile("The server (does not answer|cannot work at the moment)")


def test_the_page_says_when_the_server_is_away_and_goes_on_when_it_is_back(page: Page, stack: Target) -> None:
    page.get_by_test_id("task-select").select_option("sleep")
    page.get_by_test_id("field-seconds").fill("8")
    page.get_by_test_id("submit").click()
    expect(first_job(page)).to_have_attribute("data-state", "STARTED")

    stack.stop("web")
    try:
        expect(page.get_by_test_id("banner")).to_contain_text(AWAY, timeout=patience(30_000))
        screenshot(page, "page-away")
    finally:
        stack.start("web")

    expect(page.get_by_test_id("banner")).to_be_empty(timeout=patience(30_000))
    expect(first_job(page)).to_have_attribute("data-state", "SUCCESS", timeout=patience(30_000))
    submit_add(page, "1", "1")
    expect(first_job(page).get_by_test_id("job-result")).to_have_text("2")


def test_a_submit_that_got_no_answer_makes_one_job(page: Page, stack: Target) -> None:
    expect(page.get_by_test_id("submit")).to_be_visible()
    stack.stop("redis")
    try:
        submit_add(page, "40", "2")
        expect(page.get_by_test_id("form-error")).to_contain_text("Your entries are kept", timeout=patience(30_000))
        screenshot(page, "page-redis-away")
    finally:
        stack.start("redis")

    expect(page.get_by_test_id("banner")).to_be_empty(timeout=patience(20_000))

    def accepted() -> bool:
        with page.expect_response("**/api/tasks/add") as answer:
            page.get_by_test_id("submit").click()
        return bool(answer.value.status == 202)

    wait_until(accepted, 20, every=1.1)  # a web process that nobody asked meanwhile may refuse once more
    expect(first_job(page).get_by_test_id("job-result")).to_have_text("42", timeout=patience(20_000))
    expect(page.get_by_test_id("job")).to_have_count(1)


def test_a_reload_keeps_the_jobs_of_the_tab(page: Page) -> None:
    submit_add(page, "20", "22")
    expect(first_job(page)).to_have_attribute("data-state", "SUCCESS")

    page.reload()

    expect(first_job(page).get_by_test_id("job-result")).to_have_text("42")


def test_the_same_wish_keeps_its_key_until_it_is_taken(page: Page) -> None:
    """The answer to the first try was lost, and that try is still under way at the second."""
    keys, refusals = [], [503, 409]

    def answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if refusals:
            route.fulfill(status=refusals.pop(0), json={"error": {"code": "of_this_test", "message": "Try again."}})
        else:
            route.continue_()

    page.route("**/api/tasks/add", answer)
    for _ in range(3):
        with page.expect_response("**/api/tasks/add"):
            submit_add(page, "2", "2")
        expect(page.get_by_test_id("submit")).to_be_enabled()

    expect(first_job(page).get_by_test_id("job-result")).to_have_text("4")
    assert len(set(keys)) == 1


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_shows_the_page_without_scrolling_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    page.get_by_test_id("task-select").select_option("summarize")
    page.get_by_test_id("field-dataset").fill("seattle-weather")
    page.get_by_test_id("submit").click()
    expect(first_job(page)).to_have_attribute("data-state", "SUCCESS", timeout=patience(20_000))

    wider = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right"
        " > document.documentElement.clientWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )

    screenshot(page, f"page-phone-{width}")
    assert wider == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_alone_is_enough(page: Page) -> None:
    def focused() -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.tagName"))

    def tab_to(target: str) -> None:
        way = []
        while focused() != target:
            page.keyboard.press("Tab")
            way.append(focused())
            assert len(way) < 30, f"Tab does not reach {target}: {way}"

    expect(page.get_by_test_id("submit")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    tab_to("task-select")
    page.keyboard.type("mul")
    tab_to("arg-x")
    page.keyboard.type("6")
    tab_to("arg-y")
    page.keyboard.type("7")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "one cannot see where the focus is"
    tab_to("submit")
    page.keyboard.press("Enter")

    expect(first_job(page).get_by_test_id("job-result")).to_have_text("42")
    assert focused() == "submit", "the focus was lost"


def test_a_queued_job_can_be_cancelled(page: Page, stack: Target) -> None:
    expect(page.get_by_test_id("submit")).to_be_visible()
    stack.stop("worker")
    try:
        submit_add(page, "1", "1")
        first_job(page).get_by_test_id("job-cancel").click()
        expect(first_job(page)).to_have_attribute("data-state", "REVOKED")
        screenshot(page, "page-cancelled")
    finally:
        stack.start("worker")
