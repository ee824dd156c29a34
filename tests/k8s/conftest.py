"""What only a cluster can show. One stack for the session, in a namespace of its own; skipped where none answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes, cluster

STACK = pytest.StashKey[Kubernetes]()
HERE = Path(__file__).parent
# These have a stack of their own.
OWN = {
    "test_owned": "owned",
    "test_life": "life",
    "test_changes": "changes",
    "test_another_volume": "changes",
    "test_brought_along": "brought-along",
    "test_shared_namespace": "shared-namespace",
    "test_from_0_1": "shared-namespace",
    "test_prefix": "prefix",
    "test_gitops": "gitops",
    "test_secret": "secret",
}


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.runtime)
            item.add_marker(pytest.mark.xdist_group(OWN.get(item.path.stem, "k8s")))


@pytest.fixture(scope="session", autouse=True)
def _cluster() -> None:
    if why := cluster():
        pytest.skip(why)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Kubernetes]:
    # With an ingress, which no controller serves here; what matters is whom the web then believes.
    target = Kubernetes(("ingress",), WORKER_CONCURRENCY="4")
    try:
        target.up()
        request.config.stash[STACK] = target
        yield target
    finally:
        target.remove()


@pytest.fixture
def api(stack: Kubernetes) -> Client:
    return Client(stack.base_url, stack.api_token)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """Put the pods, the events and the end of each log under a failed test."""
    report = yield
    target = item.config.stash.get(STACK, None)
    if report.failed and target:
        try:
            report.sections.append(("the cluster", target.story()))
        except Exception as error:  # a cluster that answers no more must not end the session
            report.sections.append(("no story", repr(error)))
    return report
