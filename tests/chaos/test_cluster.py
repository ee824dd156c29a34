"""Workers come and go under load, and Redis stays away for long."""

import time
from collections import Counter

import pytest

from tests.chaos.nodes import ROLES
from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes
from tests.traffic import Runs
from tests.waiting import wait_until


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
