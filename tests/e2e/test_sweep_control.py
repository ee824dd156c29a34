"""The negative control of tests/e2e/test_sweep.py: each case must show on a server, or a page, that would be fooled.

A case that is not found here would be found nowhere.
"""

from collections.abc import Callable
from html import unescape
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from tests.e2e.attacks import forged, headers, http2, page, paths, smuggling, tokens, verbs
from tests.e2e.attacks.fooled import MINDS, Fooled
from tests.e2e.attacks.guarded import TOKEN
from tests.e2e.attacks.oracle import Case, World, judged
from tests.e2e.browser import needs_chromium

pytestmark = pytest.mark.xdist_group("control")  # it needs no stack


@pytest.fixture
def world() -> World:
    return World(TOKEN, task_id=str(uuid4()))


def unseen(server: Fooled, cases: list[Case]) -> list[str]:
    """The cases that ask for a refusal, and came through without being found."""
    found = judged(server.front, cases, server.world)
    return [case.name for case in cases if not case.allowed & {202} and case.name not in found]


def some_foreign(world: World) -> list[Case]:
    """Each way and each name at least once: thirteen ways, every fifth row."""
    return forged.foreign(world)[::5]


@pytest.mark.parametrize(
    ("cases", "guard"),
    [(paths.cases, True), (tokens.cases, True), (headers.cases, True), (some_foreign, False)],
    ids=["paths", "tokens", "headers", "tasks"],
)
def test_a_server_that_would_be_fooled_is_found(
    world: World, cases: Callable[[World], list[Case]], guard: bool
) -> None:
    with Fooled(world, guarded=guard) as server:
        missed = unseen(server, cases(world))

    right = {case.name for case in cases(world) if case.holder and 200 in case.allowed}
    assert set(missed) - right - {"none"} == set()


def test_a_server_without_a_guard_is_found_by_each_verb(world: World) -> None:
    cases = [case for case in verbs.cases(["/api/tasks/{task}"], world) if "/api/tasks/" in case.name]
    with Fooled(world, guarded=False) as server:
        assert unseen(server, cases) == []


@pytest.mark.parametrize("table", [smuggling.cases, http2.cases], ids=["HTTP/1.1", "HTTP/2"])
def test_a_server_that_serves_hidden_requests_is_found(world: World, table: Callable[[World], list[Case]]) -> None:
    missed = {case.name for case in table(world)}
    for mind in MINDS:
        with Fooled(world, mind) as server:
            found = judged(server.front, table(world), world, server.log)
        missed -= {name for name, why in found.items() if "hidden request was served" in why}
    assert missed == set()


def test_a_log_that_takes_what_it_gets_is_found(world: World) -> None:
    with Fooled(world) as server:
        judged(server.front, forged.lines(world), world)
        found = " ".join(forged.tainted(server.log(), world))

    for reason in ("no JSON", "forged:", "a control character", "the token", "a secret of a query"):
        assert reason in found


@needs_chromium
def test_a_page_that_takes_text_for_markup_is_found(browser: Browser) -> None:
    tab, missed = browser.new_page(), set()
    told = page.watched(tab)
    for text in page.HOSTILE:
        tab.goto("about:blank")
        tab.set_content(f"<div>{unescape(text)}</div>")
        if not page.seen(tab, told):
            missed.add(text)
    tab.close()

    assert missed == {text for text in page.HOSTILE if text.startswith(("{{", "'"))}  # for templates and attributes
