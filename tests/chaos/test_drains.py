"""Each of the two nodes is drained: the one where Redis and PostgreSQL have their volumes (node1), and the other."""

import time

import pytest

from tests.chaos.conftest import VISIBILITY
from tests.chaos.nodes import ROLES, cordoned, drained, fewest_ready, on
from tests.chaos.senders import Senders
from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes
from tests.traffic import Runs, Ticks, load, outcome
from tests.waiting import wait_until


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
    with Ticks(api, every=20) as ticks:
        wait_until(lambda: ticks.seen, 30)
        with load(api) as seen, fewest_ready(stack) as ready:
            begun = time.monotonic()
            with drained(stack, "node2"):
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


@pytest.mark.timeout(900)
def test_with_the_node_of_redis_drained_all_is_503_and_kept(stack: Kubernetes, api: Client) -> None:
    for role in ("web", "worker"):  # one on each node, as it is where nobody interferes
        stack.kubectl("rollout", "restart", f"deployment/{role}")
        stack.wait_ready(role)
    assert len(on(stack, "node2")["web"]) == 1
    runs = Runs(api, "sleep", "add")
    running = [api.submit("sleep", 15) for _ in range(2)]
    delayed = [api.submit("add", 1, 1, countdown=30) for _ in range(4)]
    for task in running:
        api.reaches(task, "STARTED")
    with Senders(api) as senders:
        wait_until(lambda: len(senders.sent) >= 4, 20)
        with drained(stack, "node1"):
            assert not [pod for name in ("redis", "db") for pod in stack.pods(name) if pod["spec"].get("nodeName")]
            many = len(senders.sent)
            wait_until(lambda: len(senders.sent) >= many + 20, 60)
            assert {call.status for call in senders.sent[many + 4 :]} == {503}
            assert api.get("/livez").status_code == 200
        back = time.monotonic()
        senders.accepted_again(within=120)
        print(f"accepted again {time.monotonic() - back:.1f} s after the node is back")
    senders.print_refused("node of Redis drained")
    for role in ("redis", "db", *ROLES):
        stack.wait_ready(role)
    senders.all_succeed()
    # What the drained worker could not requeue, as Redis was away already, comes back by itself.
    assert {api.done(task, within=VISIBILITY + 60)["state"] for task in [*running, *delayed]} == {"SUCCESS"}
    accepted = len(senders.sent) - len(senders.refused())
    assert len(running) + len(delayed) + accepted <= runs.since() <= len(running) + len(delayed) + len(senders.sent)
