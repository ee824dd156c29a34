"""What the page shows by itself, in a real Chromium: canvases, workers and queues, and how it is with an outage."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.browser import needs_chromium, opened, screenshot
from tests.e2e.client import Client
from tests.e2e.conftest import Stopped
from tests.e2e.targets import Operated, Target
from tests.e2e.test_page_schedules import row
from tests.machine import patience
from tests.waiting import stays, wait_until

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def _one_worker(stack: Target) -> Iterator[None]:
    """A cluster has two workers, and what the page is to show is counted here."""
    if stack.keeps:
        yield
        return
    stack.scale("worker", 1)
    yield
    stack.scale("worker", 2)


def submit(page: Page, canvas: str) -> Locator:
    """Submit one of the page's examples and give its place in the list."""
    before = page.get_by_test_id("job").count()
    page.get_by_test_id("canvas-select").select_option(label=canvas)
    page.get_by_test_id("canvas-submit").click()
    expect(page.get_by_test_id("job")).to_have_count(before + 1)
    return page.get_by_test_id("job").first


def default_queue(page: Page) -> Locator:
    return page.get_by_test_id("queue").filter(has=page.get_by_role("rowheader", name=re.compile("^celery")))


@pytest.mark.parametrize(
    ("canvas", "result"),
    [
        ("group: add(i, i) for i = 0 to 9", [2 * number for number in range(10)]),
        ("chain: add(2, 2) | add(5) | mul(8)", 72),
        ("chord: xsum of add(1, 2) and mul(3, 4)", 15),
        ("map: xsum of [1, 2] and of [3, 4]", [3, 7]),
        ("starmap: add of (1, 2) and of (3, 4)", [3, 7]),
    ],
)
def test_a_canvas_is_submitted_and_its_result_seen(page: Page, canvas: str, result: Any) -> None:
    job = submit(page, canvas)

    expect(job).to_have_attribute("data-state", "SUCCESS", timeout=patience(20_000))
    shown = job.get_by_test_id("job-result").inner_text()
    assert [int(number) for number in re.findall(r"\d+", shown)] == (result if isinstance(result, list) else [result])


def test_a_canvas_shows_its_progress_and_a_reload_keeps_it(page: Page) -> None:
    job = submit(page, "group: sleep(1), ten times")

    bar = job.get_by_test_id("job-progress")
    expect(bar).to_have_attribute("max", "10", timeout=patience(20_000))
    # In one look, since it is over in a few seconds.
    halfway = """() => {
        const job = document.querySelector("[data-testid=job]"), bar = job.querySelector("[data-testid=job-progress]");
        const facts = job.querySelector("[data-testid=job-facts]").textContent;
        return /[1-9] of 10 done/.test(facts) && /^[1-9]$/.test(bar.getAttribute("value")) && bar.checkVisibility();
    }"""
    wait_until(lambda: page.evaluate(halfway), 20)
    screenshot(page, "page-canvas")
    page.reload()

    expect(job).to_have_attribute("data-state", "SUCCESS", timeout=patience(30_000))
    expect(job.get_by_test_id("job-facts")).to_contain_text("10 of 10 done")
    expect(bar).to_be_hidden()


def test_chunks_over_a_range_show_how_many_of_a_thousand_are_done(page: Page) -> None:
    job = submit(page, "chunks: add(i, i) for i = 0 to 999, by 100")

    expect(job).to_have_attribute("data-state", "SUCCESS", timeout=patience(30_000))
    expect(job.get_by_test_id("job-facts")).to_contain_text("1000 of 1000 done")
    # Of a result this long the page shows the beginning.
    expect(job.get_by_test_id("job-result")).to_contain_text(
        re.compile(r"^\[\s*0,\s*2,\s*4,.*the API has all", re.DOTALL)
    )


def test_a_canvas_that_is_cancelled_says_so(page: Page, stopped: Stopped) -> None:
    expect(page.get_by_test_id("canvas-submit")).to_be_visible()
    with stopped("worker"):
        job = submit(page, "chain: add(2, 2) | add(5) | mul(8)")
        job.get_by_test_id("job-cancel").click()

        expect(job).to_have_attribute("data-state", "REVOKED")
        expect(job.get_by_test_id("job-error")).to_contain_text(
            re.compile(r"revoked before it started \(task [0-9a-f-]{36}\)$")
        )
        expect(job.get_by_test_id("job-cancel")).to_be_hidden()


def test_workers_and_queues_change_as_they_do(page: Page, api: Client, stopped: Stopped) -> None:
    expect(page.get_by_test_id("worker")).to_have_count(1, timeout=patience(20_000))
    expect(default_queue(page).get_by_test_id("queue-workers")).to_have_text("1", timeout=patience(30_000))

    with stopped("worker"):
        expect(page.get_by_test_id("no-workers")).to_be_visible(timeout=patience(30_000))
        waiting = int(default_queue(page).get_by_test_id("queue-waiting").inner_text())
        ids = [api.submit("sleep", 8, priority=9 * (number % 2)) for number in range(4)]
        expect(default_queue(page).get_by_test_id("queue-waiting")).to_have_text(
            re.compile(rf"^{waiting + 4}$|^{waiting + 5}$"), timeout=30_000
        )
        expect(default_queue(page).get_by_test_id("queue-workers")).to_have_text("none")
        expect(default_queue(page).get_by_test_id("queue-problem")).to_contain_text("and no worker runs: start one.")
        screenshot(page, "page-no-worker")

    expect(page.get_by_test_id("worker")).to_contain_text("ready", timeout=patience(20_000))
    expect(page.get_by_test_id("worker-active")).to_have_text("2 of 2", timeout=patience(30_000))
    screenshot(page, "page-workers")
    for task_id in ids:
        api.done(task_id, within=45)
    expect(page.get_by_test_id("worker-active")).to_have_text("0 of 2", timeout=patience(30_000))
    expect(default_queue(page).get_by_test_id("queue-waiting")).to_have_text("0", timeout=patience(30_000))


def test_an_outage_is_said_and_what_is_shown_is_marked_as_old(page: Page, stopped: Stopped) -> None:
    ages = [page.get_by_test_id("workers-age"), page.get_by_test_id("schedules-age")]
    for age in ages:
        expect(age).to_contain_text("Updated every", timeout=patience(20_000))

    with stopped("redis"):
        expect(page.get_by_test_id("banner")).to_contain_text("Redis does not answer", timeout=patience(20_000))
        for age in ages:
            expect(age).to_contain_text("Not up to date", timeout=patience(20_000))
        switch = row(page, "add_every_30_seconds").get_by_role("switch")
        switch.click()
        expect(page.get_by_test_id("schedules-error")).to_contain_text("was not switched off")
        expect(switch).to_be_checked()
        screenshot(page, "page-live-away")

    expect(page.get_by_test_id("banner")).to_be_empty(timeout=patience(30_000))
    for age in ages:
        expect(age).to_contain_text("Updated every", timeout=patience(20_000))
    expect(page.get_by_test_id("worker")).to_contain_text("ready", timeout=patience(30_000))


def test_a_hidden_tab_asks_nothing_and_goes_on_when_it_is_seen(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    expect(page.get_by_test_id("schedules-age")).to_contain_text("Updated every", timeout=patience(20_000))

    def hide(hidden: bool) -> None:
        # A headless browser has no other tab to put in front.
        page.evaluate(
            "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
            " document.dispatchEvent(new Event('visibilitychange')); }",
            hidden,
        )

    hide(True)
    asked.clear()
    stays(lambda: page.evaluate("document.hidden") and asked == [], 8)  # each loop would have asked once or twice
    hide(False)
    paths = {"/api/workers", "/api/queues", "/api/schedules"}
    wait_until(lambda: page.evaluate("!document.hidden") and {urlsplit(url).path for url in asked} >= paths, 5)


def test_a_page_of_which_a_part_did_not_arrive_says_so_and_loads_again(page: Page) -> None:
    # As a proxy answers in the instant in which it finds no web.
    page.route("**/workers.js", lambda route: route.fulfill(status=503, body="{}"), times=1)
    page.reload()

    expect(page.get_by_test_id("loading")).to_contain_text("did not arrive")
    expect(page.get_by_test_id("worker")).to_have_count(1, timeout=patience(20_000))
    expect(page.get_by_test_id("loading")).to_be_hidden()


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (768, "dark"), (1280, "dark")])
def test_the_live_sections_fit_any_width_in_light_and_dark(
    browser: Browser, stack: Target, width: int, scheme: Any
) -> None:
    size = {"width": width, "height": 800}
    with opened(browser, f"{stack.base_url}/", stack.api_token, viewport=size, color_scheme=scheme) as page:
        expect(page.get_by_test_id("worker")).to_have_count(1, timeout=patience(20_000))
        expect(row(page, "add_every_30_seconds")).to_be_visible(timeout=patience(20_000))
        job = submit(page, "chunks: add(i, i) for i = 0 to 999, by 100")
        expect(job).to_have_attribute("data-state", "SUCCESS", timeout=patience(30_000))
        screenshot(page, f"page-live-{width}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        wider = page.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') &&"
            " e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(e => e.id || e.tagName)"
        )
        assert wider == []


def test_with_a_token_the_live_sections_wait_for_it_and_then_show(browser: Browser, operated: Operated) -> None:
    token = "a-token-of-this-test"
    with operated.restarted_with("web", f"API_TOKEN={token}"), opened(browser, f"{operated.base_url}/") as page:
        expect(page.get_by_test_id("token-form")).to_be_visible()
        expect(page.get_by_test_id("workers-section")).to_be_hidden()
        page.get_by_test_id("token").fill(token)
        page.get_by_test_id("token-submit").click()

        expect(page.get_by_test_id("worker")).to_have_count(1, timeout=patience(20_000))
        expect(row(page, "add_every_30_seconds")).to_be_visible(timeout=patience(20_000))
