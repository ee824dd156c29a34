"""Nodes, pods and Redis go away while people work."""

import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes
from tests.traffic import Runs, Ticks, load, outcome
from tests.waiting import stays, wait_until

ROLES = ("web", "worker", "beat", "flower")
NODE_GRACE = 20  # seconds until this cluster calls a silent node dead; 40 is Kubernetes's default


def test_scaling_with_tasks_in_flight_loses_and_repeats_none(stack: Kubernetes, api: Client) -> None:
    runs = Runs(api, "sleep")
    tasks = [api.submit("sleep", 2) for _ in range(200)]
    stack.scale("worker", 5)
    wait_until(lambda: runs.since() >= 60, 120)
    # What is to be seen is that workers are taken away that work, with more to do than the one that stays can hold.
    assert sum(queue["waiting"] for queue in api.get("/api/queues").json()["queues"]) >= 20
    stack.scale("worker", 1)
    try:
        states = Counter(api.done(task_id, within=300)["state"] for task_id in tasks)
        assert states == {"SUCCESS": 200}
        assert runs.since() == 200
    finally:
        stack.scale("worker", 2)


def on(stack: Kubernetes, node: str) -> dict[str, list[str]]:
    """The pods of each role that stand on a node."""
    found = {role: [pod["metadata"]["name"] for pod in stack.pods(role) if pod["spec"].get("nodeName") == node]
             for role in ROLES}  # fmt: skip
    return {role: names for role, names in found.items() if names}


@contextmanager
def cordoned(stack: Kubernetes, node: str) -> Iterator[None]:
    stack.kubectl("cordon", node)
    try:
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


@pytest.mark.timeout(600)
def test_a_drained_node_fails_no_request_and_loses_and_repeats_no_task(stack: Kubernetes, api: Client) -> None:
    # Everything of web and worker on the node to be drained, so that the budgets are asked for.
    with cordoned(stack, "node1"):
        for role in ROLES:
            stack.restart(role)
    assert {role: len(names) for role, names in on(stack, "node2").items()} == {
        "web": 2,
        "worker": 2,
        "beat": 1,
        "flower": 1,
    }
    runs = Runs(api, "sleep")
    try:
        with Ticks(api, every=20) as ticks:
            wait_until(lambda: ticks.seen, 30)
            with load(api) as seen, fewest_ready(stack) as ready:
                begun = time.monotonic()
                drain = ["drain", "node2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=280s"]
                # Of this stack only: others' pods may stand on the node, too.
                stack.kubectl(*drain, "--pod-selector=app.kubernetes.io/part-of=django-celery-stack")
                for role in ROLES:
                    stack.wait_ready(role)
                print(f"drained, and all is ready elsewhere, after {time.monotonic() - begun:.0f} s")
            assert on(stack, "node2") == {}
            assert ready == {"web": 1, "worker": 1}, "the budgets let one go at a time"
            wait_until(lambda: len(ticks.seen) >= 3, 60)
            print("gaps between ticks:", ticks.check(longest=2 * ticks.every))
        assert not seen["failed"], seen["failed"][:5]
        assert outcome(api, seen) == {"SUCCESS": len(seen["tasks"])}
        assert runs.since() == len([task for task in seen["tasks"] if api.state(task)["name"] == "sleep"])
    finally:
        stack.kubectl("uncordon", "node2")


@pytest.mark.timeout(900)
def test_after_a_power_cut_all_roles_answer_from_the_other_node(stack: Kubernetes, api: Client) -> None:
    if not {"NODE_STOP", "NODE_START"} <= os.environ.keys():
        pytest.skip("needs NODE_STOP and NODE_START, commands that cut a node off and bring it back")
    # Beat and Flower on the node that dies: what is to be seen is that they come back elsewhere.
    with cordoned(stack, "node1"):
        for role in ("beat", "flower"):
            stack.restart(role)
    assert {"beat", "flower"} <= on(stack, "node2").keys()
    with Ticks(api) as ticks:
        wait_until(lambda: len(ticks.seen) >= 2, 60)
        subprocess.run([*os.environ["NODE_STOP"].split(), "node2"], check=True)
        cut, clock = datetime.now(UTC) + timedelta(seconds=1), time.monotonic()  # beat's times are rounded to a second
        try:

            def left() -> float:
                """One deadline for everything: when the cluster notices, and a minute."""
                return clock + NODE_GRACE + 60 - time.monotonic()

            # A tick counts by beat's own time: one from before the cut may be seen only after it.
            wait_until(lambda: ticks.seen and datetime.fromisoformat(ticks.seen[-1]) > cut, left())
            print(f"beat ticks again after {time.monotonic() - clock:.0f} s")

            def answers() -> bool:
                ready = {role for role in ROLES for pod in stack.pods(role)
                         if pod["spec"].get("nodeName") == "node1" and is_ready(pod)}  # fmt: skip
                assert ready == set(ROLES), ready
                return True

            wait_until(answers, left())
            print(f"every role is ready on the other node after {time.monotonic() - clock:.0f} s")
            assert api.run("add", 2, 2, within=30)["result"] == 4
            wait_until(lambda: datetime.fromisoformat(ticks.seen[-3]) > cut, 60)
            print("gaps between ticks:", ticks.check(longest=NODE_GRACE + 60))
        finally:
            subprocess.run([*os.environ["NODE_START"].split(), "node2"], check=True)
    wait_until(lambda: "NotReady" not in stack.kubectl("get", "nodes"), 120)
    for role in ROLES:
        stack.wait_ready(role)
    stays(lambda: api.run("add", 2, 2, within=30)["result"] == 4, 10)


def is_ready(pod: dict[str, Any]) -> bool:
    return all(status["ready"] for status in pod["status"].get("containerStatuses", [{"ready": False}]))


@pytest.mark.timeout(600)
def test_three_minutes_without_redis_restart_no_pod(stack: Kubernetes, api: Client) -> None:
    before = stack.restarts()
    stack.stop("redis")
    try:
        end = time.monotonic() + 180
        while time.monotonic() < end:
            asked = time.monotonic()
            answer = api.post("add", {"args": [1, 1]})
            assert answer.status_code == 503, answer.text
            assert answer.headers["Retry-After"]
            assert time.monotonic() - asked < 2
            time.sleep(2)
    finally:
        stack.start("redis")
    wait_until(lambda: api.get("/readyz").status_code == 200, 30)
    assert api.run("add", 2, 2, within=30)["result"] == 4
    for role in ROLES:
        stack.wait_ready(role)
    after = stack.restarts()
    assert {name: after[name] for name in before if name != "redis-0"} == {
        name: count for name, count in before.items() if name != "redis-0"
    }
