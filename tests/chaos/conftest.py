"""Things that take minutes, and a cluster whose nodes may be cut off: by hand, `make chaos TARGET=k8s`.

Redis and PostgreSQL stay on the first node, because a volume of a node's disk belongs to that node. A node is cut off
and brought back by the commands in NODE_STOP and NODE_START, which get its name; without them that test is skipped.
"""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.k8s import Kubernetes, cluster
from tests.k8s.conftest import STACK, api, pytest_runtest_makereport

__all__ = ("api", "pytest_runtest_makereport")


def pinned() -> tuple[str, ...]:
    """Patches that keep what has a volume on node1."""
    operation = [
        {"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"kubernetes.io/hostname": "node1"}}
    ]
    return tuple(
        json.dumps({"target": {"kind": "StatefulSet", "name": name}, "patch": json.dumps(operation)})
        for name in ("redis", "db")
    )


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Kubernetes]:
    if why := cluster():
        pytest.skip(why)
    target = Kubernetes(patches=pinned(), WORKER_CONCURRENCY="4")
    try:
        target.up()
        request.config.stash[STACK] = target
        yield target
    finally:
        target.remove()
