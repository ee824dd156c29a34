"""What only compose can show. One stack for the session, in a copy of the checkout; skipped where no engine answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.compose import Compose, engine
from tests.e2e.targets import ends_of_logs

STACK = pytest.StashKey[Compose]()
HERE = Path(__file__).parent
# These make a stack or an image of their own, so they need not wait for the others.
APART = (
    "test_any_project",
    "test_brought_along",
    "test_dev",
    "test_files",
    "test_image",
    "test_own_secrets",
    "test_push",
    "test_tls",
)
# Two stacks run side by side: each has its files, about half of the time.
SECOND = ("test_database", "test_proxy", "test_running", "test_stop")
# What is rotated must be what was built, and a deploy that is broken off leaves two versions.
LAST = "test_interrupted"


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path == HERE / f"{LAST}.py")
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.runtime)
            group = item.path.stem if item.path.stem in APART else f"compose-{1 + (item.path.stem in SECOND)}"
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    if why := engine():
        pytest.skip(why)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Compose]:
    target = Compose(WORKER_CONCURRENCY="4")
    try:
        target.up()
        request.config.stash[STACK] = target
        yield target
    finally:
        target.remove()


@pytest.fixture
def api(stack: Compose) -> Client:
    return Client(stack.base_url)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """Put the state and the end of each log under a failed test."""
    report = yield
    target = item.config.stash.get(STACK, None)
    if report.failed and target:
        report.sections.append(("containers", target.compose("ps", "-a")))
        report.sections += ends_of_logs(target, ("proxy", "web", "worker", "beat", "redis", "db"), 15)
    return report
