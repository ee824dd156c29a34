"""The end-to-end ring: a stack of its own for the session, through its front door, in any runtime.

pytest tests/e2e [--target supervisor|compose|k8s]
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import Beyond
from tests.e2e.browser import chromium, opened
from tests.e2e.client import Client
from tests.e2e.supervisor import Supervisor
from tests.e2e.targets import Operated, Target, ends_of_logs


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("e2e")
    group.addoption("--target", choices=("supervisor", "compose", "k8s"), default="supervisor", help="the runtime")


class Stopped(Protocol):
    def __call__(self, role: str) -> Any: ...


# Under supervisord three stacks run side by side where there are processes for three (`-n`): each has its files, for
# about a third of the time. Elsewhere a stack is dear, and one serves all.
STACKS = {
    "test_beat": 2,
    "test_canvas": 2,
    "test_canvas_revoked": 2,
    "test_schedules": 2,
    "test_sweep": 2,
    "test_tasks": 2,
    "test_workers": 2,
    "test_load": 3,
    "test_page": 3,
    "test_page_live": 3,
    "test_page_schedules": 3,
    "test_page_tls": 3,
    "test_queue": 3,
}
# Those that stop Redis or the whole stack come when all others have passed.
LATE = ("test_flower", "test_outage", "test_roles", "test_vm")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LATE.index(item.path.stem) if item.path.stem in LATE else -1)
    one = config.getoption("--target") != "supervisor"
    for item in items:
        if item.path.parent.name == "e2e" and not item.get_closest_marker("xdist_group"):
            number = 1 if one else STACKS.get(item.path.stem, 1)
            item.add_marker(pytest.mark.xdist_group(f"stack-{number}"))


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The stack under test."""
    runtime = request.config.getoption("--target")
    if runtime == "k8s":
        from tests.e2e.k8s import Kubernetes, cluster

        if reason := cluster():
            pytest.exit(reason, returncode=1)  # a skip would look like a pass of what was asked for
        target: Any = Kubernetes()
    elif runtime == "compose":
        from tests.e2e.compose import Compose, engine

        if reason := engine():
            pytest.exit(reason, returncode=1)
        target = Compose()
    else:
        target = Supervisor.copy()
    try:
        target.up()
        request.config.stash[STACK] = target
        yield target
        nothing_refused(target)
    finally:
        target.remove()


STACK = pytest.StashKey[Target]()


class Refused(Beyond):
    """A role asked of Redis what its user may not do: no second try makes that good."""


def nothing_refused(stack: Target) -> None:
    if refused := stack.refused():
        raise Refused(f"Redis refused: {refused}")


@pytest.fixture(autouse=True)
def _nothing_refused(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever the roles did in a test, Redis refused them nothing. Asked after each: a restart forgets it."""
    stack = request.getfixturevalue("stack") if "stack" in request.fixturenames else None
    yield
    if stack and hasattr(type(stack), "restarted_with"):  # a cluster is asked once, at the end: it takes a second
        nothing_refused(stack)


@pytest.fixture
def vm(stack: Target) -> Supervisor:
    """The stack, for a test of what only the supervisord runtime has."""
    if not isinstance(stack, Supervisor):
        pytest.skip("needs supervisord, its files and its processes on this machine")
    return stack


@pytest.fixture
def operated(stack: Target) -> Operated:
    """The stack, for a test that needs its operator's rights: to see into Redis, to set a variable."""
    if not hasattr(type(stack), "restarted_with"):
        pytest.skip("needs the operator's rights, so a stack on this machine")
    return cast(Operated, stack)


@pytest.fixture
def api(stack: Target) -> Client:
    return Client(stack.base_url, stack.api_token)


@pytest.fixture
def stopped(stack: Target) -> Stopped:
    """`with stopped("worker"):` runs its block without that role and starts it again whatever happens."""

    @contextmanager
    def without(role: str) -> Iterator[None]:
        stack.stop(role)
        try:
            yield
        finally:
            stack.start(role)

    return without


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, stack: Target) -> Iterator[Page]:
    """The page, opened; an error in its script fails the test."""
    with opened(browser, f"{stack.base_url}/", stack.api_token) as page:
        yield page


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """Put the end of each role's log under a failed test."""
    report = yield
    target = item.config.stash.get(STACK, None)
    if report.failed and target:
        try:
            report.sections += ends_of_logs(target, ("web", "worker", "beat", "flower", "redis"), 20)
            if hasattr(target, "story"):
                report.sections.append(("the cluster", target.story()))
        except Exception as error:  # a runtime that answers no more must not end the session
            report.sections.append(("no logs", repr(error)))
    return report
