"""Nodes, pods and Redis go away while people work."""

import os
import subprocess
import time
from collections import Counter

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
    stack.scale("worker", 1)
    try:
        states = Counter(api.done(task_id, within=300)["state"] for task_id in tasks)
        assert states == {"SUCCESS": 200}
        assert runs.since() == 200
    finally:
        stack.scale("worker", 2)


def test_a_drained_node_fails_no_request_and_loses_and_repeats_no_task(stack: Kubernetes, api: Client) -> None:
    runs = Runs(api, "sleep")
    try:
        with Ticks(api) as ticks:
            with load(api) as seen:
                drain = ["drain", "node2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s"]
                # Of this stack only: others' pods may stand on the node, too.
                stack.kubectl(*drain, "--pod-selector=app.kubernetes.io/part-of=django-celery-stack")
                for role in ROLES:
                    stack.wait_ready(role)
            print("gaps between ticks:", ticks.check(longest=30))
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
    stack.kubectl("cordon", "node1")
    for role in ("beat", "flower"):
        stack.restart(role)
    stack.kubectl("uncordon", "node1")
    assert stack.pods("beat")[0]["spec"]["nodeName"] == "node2"
    with Ticks(api) as ticks:
        wait_until(lambda: len(ticks.seen) >= 2, 60)
        subprocess.run([*os.environ["NODE_STOP"].split(), "node2"], check=True)
        begun, count = time.monotonic(), len(ticks.seen)
        try:
            wait_until(lambda: len(ticks.seen) > count, NODE_GRACE + 30 + 60)
            print(f"beat ticks again after {time.monotonic() - begun:.0f} s")

            def answers() -> bool:
                alive = [pod for role in ROLES for pod in stack.pods(role) if pod["spec"]["nodeName"] == "node1"]
                ready = {
                    pod["metadata"]["labels"]["app.kubernetes.io/name"]
                    for pod in alive
                    if all(item["ready"] for item in pod["status"].get("containerStatuses", [{"ready": False}]))
                }
                assert ready == set(ROLES), ready
                return True

            wait_until(answers, NODE_GRACE + 30 + 60)
            print(f"every role is ready on the other node after {time.monotonic() - begun:.0f} s")
            assert api.run("add", 2, 2, within=30)["result"] == 4
        finally:
            subprocess.run([*os.environ["NODE_START"].split(), "node2"], check=True)
    wait_until(lambda: "NotReady" not in stack.kubectl("get", "nodes"), 120)
    for role in ROLES:
        stack.wait_ready(role)
    stays(lambda: api.run("add", 2, 2, within=30)["result"] == 4, 10)


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
