"""A new version while people work."""

from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes
from tests.traffic import Runs, Ticks, load, outcome

ROLES = ("web", "worker", "beat", "flower")


def test_a_roll_out_of_everything_fails_no_request_and_loses_and_repeats_no_task(
    stack: Kubernetes, api: Client
) -> None:
    before, runs = {role: stack.names(role) for role in ROLES}, Runs(api, "sleep")

    # One in each slot of the old workers: they still run when their worker is told to stop.
    long = [api.submit("sleep", 25) for _ in range(8)]

    with Ticks(api) as ticks:
        with load(api) as seen:
            for role in ROLES:
                stack.kubectl("rollout", "restart", stack.object(role))
            for role in ROLES:
                stack.wait_ready(role)
        # Recreate: the old beat has given up its lock before the new one starts, so a tick may come late but once.
        ticks.check(longest=25)

    assert not seen["failed"], seen["failed"][:5]
    assert seen["calls"] > 100
    assert outcome(api, seen) == {"SUCCESS": len(seen["tasks"])}
    slept = [task_id for task_id in seen["tasks"] if api.state(task_id)["name"] == "sleep"]
    assert {api.done(task_id, within=60)["state"] for task_id in long} == {"SUCCESS"}
    assert runs.since() == len(slept) + len(long)
    assert not any(set(before[role]) & set(stack.names(role)) for role in ROLES)


def test_a_roll_out_that_cannot_start_leaves_the_old_version_in_service(stack: Kubernetes, api: Client) -> None:
    before = stack.names("web")
    stack.variables["WEB_WORKERS"] = "many"
    stack.write()
    try:
        stack.kubectl("apply", "-k", str(stack.overlay))
        new = [name for name in stack.names("web") if name not in before]
        assert api.run("add", 2, 2, within=20)["result"] == 4
        assert set(before) <= set(stack.names("web"))
        assert len(new) <= 1
    finally:
        del stack.variables["WEB_WORKERS"]
        stack.write()
        stack.kubectl("apply", "-k", str(stack.overlay))
        for role in ROLES:
            stack.wait_ready(role)
