"""A new version while people work."""

import os

import pytest

from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes
from tests.traffic import Runs, Ticks, load, outcome
from tests.waiting import wait_until

ROLES = ("web", "worker", "beat", "flower")


def test_a_roll_out_of_everything_fails_no_request_and_loses_no_task(stack: Kubernetes, api: Client) -> None:
    before, runs = {role: stack.names(role) for role in ROLES}, Runs(api, "sleep")
    stack.refused()  # what it refused before is none of this test's

    # One in each slot of the old workers: they still run when their worker is told to stop.
    long = [api.submit("sleep", 25) for _ in range(8)]

    # The next beat stands by before this one stops.
    with Ticks(api, every=10) as ticks:
        wait_until(lambda: ticks.seen, 30)
        with load(api) as seen:
            for role in ROLES:
                stack.kubectl("rollout", "restart", stack.object(role))
            for role in ROLES:
                stack.wait_ready(role)
        wait_until(lambda: len(ticks.seen) >= 4, 60)
        print("gaps between ticks:", ticks.check(longest=30))

    assert not seen["failed"], seen["failed"][:5]
    assert seen["calls"] > 100
    assert outcome(api, seen) == {"SUCCESS": len(seen["tasks"])}
    slept = [task_id for task_id in seen["tasks"] if api.state(task_id)["name"] == "sleep"]
    assert {api.done(task_id, within=60)["state"] for task_id in long} == {"SUCCESS"}
    assert runs.since() == len(slept) + len(long)
    assert not any(set(before[role]) & set(stack.names(role)) for role in ROLES)
    assert stack.refused() == [], "two of a role for a moment, two Flowers too, have the same rights"


@pytest.mark.slow
def test_a_new_version_is_applied_and_rolled_out(stack: Kubernetes, api: Client) -> None:
    tag = os.environ.get("NEXT_TAG")
    if not tag:
        pytest.skip("needs NEXT_TAG, a second tag of the image that the cluster can see")

    def images() -> set[str]:
        return {pod["spec"]["containers"][0]["image"] for role in ROLES for pod in stack.pods(role)}

    before = images()
    stack.write(tag)
    try:
        stack.kubectl("apply", "-k", str(stack.overlay))
        for role in ROLES:
            stack.wait_ready(role)
        assert images() == {f"django-celery-stack:{tag}"} != before
        assert api.run("add", 2, 2, within=20)["result"] == 4
    finally:
        stack.write()
        stack.kubectl("apply", "-k", str(stack.overlay))
        for role in ROLES:
            stack.wait_ready(role)
