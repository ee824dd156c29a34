"""The end-to-end ring: one stack for the session, through its front door, in any runtime.

pytest tests/e2e                                         a private copy of the checkout under supervisord
pytest tests/e2e --base-url http://127.0.0.1:8000        a stack that runs already
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.browser import chromium, opened
from tests.e2e.client import Client
from tests.e2e.supervisor import Supervisor
from tests.e2e.targets import Operated, Target, ends_of_logs


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("e2e")
    group.addoption("--target", choices=("supervisor", "compose", "k8s"), default="supervisor", help="the runtime")
    group.addoption("--base-url", default="", help="test the stack that runs there; nothing is started or removed")


class Stopped(Protocol):
    def __call__(self, role: str) -> Any: ...


class Elsewhere:
    """A stack that runs already and of which only the address is known."""

    flower_url = flower_password = api_token = ""
    keeps = True

    def __init__(self, base_url: str):
        self.base_url = base_url.rstrip("/")

    def __getattr__(self, name: str) -> Any:
        pytest.skip(f"needs control over the processes ({name}), and --base-url gives only an address")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Beat's tests read some minutes of its log: they come when others have passed the time, and before the tests that
    # stop Redis, during which beat does not tick.
    late = [
        "test_beat",
        "test_flower",
        "test_outage",
        "test_page",
        "test_page_live",
        "test_page_schedules",
        "test_roles",
        "test_vm",
        "test_workers",
        "test_rights",  # what Redis refused in all that went before
    ]
    items.sort(key=lambda item: late.index(item.path.stem) if item.path.stem in late else -1)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The stack under test."""
    runtime, base_url = request.config.getoption("--target"), request.config.getoption("--base-url")
    if base_url:
        own: Any = Supervisor.running(base_url) if runtime == "supervisor" else None
        if runtime == "compose":
            from tests.e2e.compose import Compose as Running

            own = Running.running(base_url)
        if runtime == "k8s":
            from tests.e2e.k8s import Kubernetes as InCluster

            own = InCluster.running(base_url)
        yield own or Elsewhere(base_url)
        return
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
    finally:
        target.remove()


STACK = pytest.StashKey[Target]()


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
