"""A real Chromium for the tests of the page; the fixtures `browser` and `page` are in conftest.py."""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.e2e.supervisor import CHECKOUT
from tests.machine import patience

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
REPORT = CHECKOUT / "report"

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}: sudo apt install chromium")


@cache
def _playwright() -> Playwright:
    """One for the process, which cannot have two at a time: rings that share it each have a browser of their own."""
    started = sync_playwright().start()
    atexit.register(started.stop)
    return started


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    expect.set_options(timeout=patience(20_000))  # two browsers and two stacks may share the machine
    browser = _playwright().chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *arguments])
    yield browser
    browser.close()


@contextmanager
def opened(browser: Browser, url: str, token: str = "", **options: Any) -> Iterator[Page]:
    """The page at `url`; an error in its script fails the test. `options` are those of a browser context.

    A server whose API is not open is given the token, as a person would.
    """
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(patience(30_000))
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    if token:
        page.get_by_test_id("token").fill(token)
        page.get_by_test_id("token-submit").click()
        expect(page.get_by_test_id("token-form")).to_be_hidden()
        page.reload()  # the tab has it now, and shows itself as where none is needed
    yield page
    context.close()
    assert errors == []


def screenshot(page: Page, name: str) -> None:
    """Into report/, for people to look at."""
    REPORT.mkdir(exist_ok=True)
    page.screenshot(path=REPORT / f"{name}.png", full_page=True)
