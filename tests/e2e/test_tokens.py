"""With API_TOKEN set, every call of the API needs the token, and a person gives it once."""

import re
from collections.abc import Iterator
from typing import cast

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import needs_chromium, opened, screenshot
from tests.e2e.client import Client
from tests.e2e.targets import Operated, Target

TOKEN = "a-token-of-this-test"


@pytest.fixture(scope="module")
def guarded(stack: Target) -> Iterator[Operated]:
    """The stack with a token, for both tests: a restart takes seconds."""
    if not hasattr(type(stack), "restarted_with"):
        pytest.skip("needs the operator's rights, so a stack on this machine")
    operated = cast(Operated, stack)
    with operated.restarted_with("web", f"API_TOKEN={TOKEN}"):
        yield operated


@pytest.mark.runtime
def test_with_a_token_set_every_api_call_needs_it(guarded: Operated) -> None:
    stranger = Client(guarded.base_url)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        for method, path in (("GET", "/api/tasks"), ("POST", "/api/tasks/add"), ("POST", "/api/openapi.json")):
            answer = stranger.call(method, path, json={"args": [1, 2]}, headers=headers)
            assert "Bearer" in stranger.error(answer, 401)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.headers["Cache-Control"] == "no-store, private"
        # What a machine asks to see whether the process lives needs none, nor does what tells how to call it.
        for path in ("/livez", "/readyz", "/version", "/", "/api/docs", "/api/openapi.json"):
            assert stranger.get(path, headers=headers).status_code == 200

    # Each process counts for itself: after so many one of them answers so.
    wrong = {"Authorization": "Bearer guess"}
    answers = [stranger.get("/api/tasks", headers=wrong) for _ in range(60)]
    held = [answer for answer in answers if answer.status_code != 401]
    assert held
    for answer in held:
        stranger.error(answer, 429)
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert re.search("wrong API token.*stack.http.guard", guarded.logs("web"))

    assert Client(guarded.base_url, TOKEN).run("add", 2, 3)["result"] == 5
    assert TOKEN not in guarded.logs()


@needs_chromium
def test_a_person_gives_the_token_once_on_either_page(guarded: Operated, browser: Browser) -> None:
    with opened(browser, guarded.base_url) as page:
        refused = watch(page)
        expect(page.get_by_test_id("token-form")).to_be_visible()
        screenshot(page, "page-token")
        page.get_by_test_id("token").fill("not-the-token")
        page.get_by_test_id("token-submit").click()
        expect(page.get_by_test_id("token-error")).to_contain_text("does not accept")
        page.get_by_test_id("token").fill(TOKEN)
        page.get_by_test_id("token-submit").click()
        expect(page.get_by_test_id("submit")).to_be_visible()

        page.reload()
        expect(page.get_by_test_id("submit")).to_be_visible()
        expect(page.get_by_test_id("token-form")).to_be_hidden()
        assert TOKEN not in page.url
        another = page.context.new_page()
        another.goto(guarded.base_url)
        expect(another.get_by_test_id("token-form")).to_be_visible()
        another.close()

        page.get_by_test_id("docs-link").click()
        listing = page.locator("[id^=operations-][id$=_list_tasks]")
        listing.click()
        listing.get_by_role("button", name="Try it out").click()
        with page.expect_response("**/api/tasks") as answer:
            listing.get_by_role("button", name="Execute").click()
        assert answer.value.status == 200
        screenshot(page, "docs")
        assert kept(page) == {"local": 0, "session": f'"{TOKEN}"', "cookies": ""}
        assert refused == []

    with opened(browser, f"{guarded.base_url}/api/docs") as page:
        refused = watch(page)
        page.get_by_role("button", name="Authorize").first.click()
        dialog = page.locator(".modal-ux")
        dialog.locator("input").fill(TOKEN)
        dialog.get_by_role("button", name="Apply credentials").click()
        assert kept(page) == {"local": 0, "session": f'"{TOKEN}"', "cookies": ""}

        page.goto(guarded.base_url)
        expect(page.get_by_test_id("submit")).to_be_visible()
        expect(page.get_by_test_id("token-form")).to_be_hidden()
        assert refused == []


def watch(page: Page) -> list[str]:
    """What the pages' policies refuse from now on."""
    found: list[str] = []
    page.on("console", lambda line: found.append(line.text) if "Content Security Policy" in line.text else None)
    return found


def kept(page: Page) -> dict[str, object]:
    """Where the browser keeps something of the page, and the token of its tab."""
    script = (
        "({ local: localStorage.length, session: sessionStorage.getItem('stack.token'), cookies: document.cookie })"
    )
    return dict(page.evaluate(script))
