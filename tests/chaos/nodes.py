"""Which pods stand on which node, and what is done to nodes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.k8s import Kubernetes

ROLES = ("web", "worker", "beat", "flower")
WHOSE = "drained-for"  # a label of the pods, with the namespace: a drain asks in all of them


def on(stack: Kubernetes, node: str) -> dict[str, list[str]]:
    """The pods of each role that stand on a node."""
    found = {role: [pod["metadata"]["name"] for pod in stack.pods(role) if pod["spec"].get("nodeName") == node]
             for role in ROLES}  # fmt: skip
    return {role: names for role, names in found.items() if names}


@contextmanager
def cordoned(stack: Kubernetes, node: str) -> Iterator[None]:
    """New pods go to the other node for as long as the block lasts."""
    stack.kubectl("cordon", node)
    try:
        yield
    finally:
        stack.kubectl("uncordon", node)


@contextmanager
def drained(stack: Kubernetes, node: str) -> Iterator[None]:
    """The node holds none of this stack's pods for as long as the block lasts; others' pods stay."""
    drain = ["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=280s"]
    try:
        stack.kubectl(*drain, f"--pod-selector={WHOSE}={stack.namespace}")
        yield
    finally:
        stack.kubectl("uncordon", node)


@contextmanager
def fewest_ready(stack: Kubernetes) -> Iterator[dict[str, int]]:
    """The fewest ready pods that web and worker had at any moment of the block."""
    seen: dict[str, int] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            for role in ("web", "worker"):
                count = stack.run("get", "deployment", role, "-o", "jsonpath={.status.readyReplicas}").stdout
                seen[role] = min(seen.get(role, 99), int(count or 0))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def is_ready(pod: dict[str, Any]) -> bool:
    return all(status["ready"] for status in pod["status"].get("containerStatuses", [{"ready": False}]))
