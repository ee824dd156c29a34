"""Things that take minutes, and a cluster whose nodes may be cut off: by hand, `make chaos TARGET=k8s`.

Redis and PostgreSQL stay on the first node, because a volume of a node's disk belongs to that node. Each line of the
outage table in k8s/README.md has its test here or in another ring: tests/bundle/test_outage_table.py.
"""

import json
from collections.abc import Iterator

import pytest

from tests.chaos.nodes import WHOSE
from tests.e2e.k8s import Kubernetes, cluster
from tests.k8s.conftest import STACK, api, pytest_runtest_makereport

__all__ = ("api", "pytest_runtest_makereport")


VISIBILITY = 240  # seconds after which what a dead worker held comes back: longer than any task here with its stop


def pinned(node: str) -> tuple[str, ...]:
    """Patches that keep what has a volume on a node."""
    operation = [{"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"kubernetes.io/hostname": node}}]
    return tuple(
        json.dumps({"target": {"kind": "StatefulSet", "name": name}, "patch": json.dumps(operation)})
        for name in ("redis", "db")
    )


def marked(namespace: str) -> str:
    """A patch that gives each pod the label by which a drain finds it, and none of another stack."""
    operation = [{"op": "add", "path": f"/spec/template/metadata/labels/{WHOSE}", "value": namespace}]
    return json.dumps({"target": {"kind": "Deployment|StatefulSet"}, "patch": json.dumps(operation)})


def stack_on(node: str, request: pytest.FixtureRequest) -> Iterator[Kubernetes]:
    """A stack whose Redis and PostgreSQL are on `node`."""
    if why := cluster():
        pytest.skip(why)
    target = Kubernetes(patches=pinned(node), WORKER_CONCURRENCY="4", VISIBILITY_TIMEOUT=str(VISIBILITY))
    target.patches.append(marked(target.namespace))
    yield from brought_up(target, request)


def brought_up(target: Kubernetes, request: pytest.FixtureRequest) -> Iterator[Kubernetes]:
    """A stack that is up, and goes afterwards; meanwhile a test that fails shows its pods."""
    stash = request.config.stash
    before = stash.get(STACK, None)
    try:
        target.up()
        stash[STACK] = target
        yield target
    finally:
        if before:
            stash[STACK] = before
        elif STACK in stash:
            del stash[STACK]
        target.remove()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Kubernetes]:
    yield from stack_on("node1", request)
