"""A node dies: the one where beat and Flower are, and the one where Redis and PostgreSQL have their volumes.

A node is cut off and brought back by the commands in NODE_STOP and NODE_START, which get its name; it is node2.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.conftest import VISIBILITY, stack_on
from tests.chaos.nodes import ROLES, cordoned, is_ready, on
from tests.chaos.senders import Senders
from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes
from tests.traffic import Ticks
from tests.waiting import stays, wait_until

NODE_GRACE = 20  # seconds until this cluster calls a silent node dead; 40 is Kubernetes's default
pytestmark = pytest.mark.skipif(
    not {"NODE_STOP", "NODE_START"} <= os.environ.keys(),
    reason="needs NODE_STOP and NODE_START, commands that cut a node off and bring it back",
)


@contextmanager
def cut_off(stack: Kubernetes) -> Iterator[None]:
    """node2 is dead for as long as the block lasts."""
    subprocess.run([*os.environ["NODE_STOP"].split(), "node2"], check=True)
    try:
        yield
    finally:
        subprocess.run([*os.environ["NODE_START"].split(), "node2"], check=True)
        wait_until(lambda: "NotReady" not in stack.kubectl("get", "nodes"), 120)


@pytest.mark.timeout(900)
def test_after_a_power_cut_all_roles_answer_from_the_other_node(stack: Kubernetes, api: Client) -> None:
    # Beat and Flower on the node that dies: what is to be seen is that they come back elsewhere.
    with cordoned(stack, "node1"):
        for role in ("beat", "flower"):
            stack.restart(role)
    assert {"beat", "flower"} <= on(stack, "node2").keys()
    with Ticks(api) as ticks:
        wait_until(lambda: len(ticks.seen) >= 2, 60)
        with cut_off(stack):
            # Beat's times are rounded to a second.
            cut, clock = datetime.now(UTC) + timedelta(seconds=1), time.monotonic()

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
    for role in ROLES:
        stack.wait_ready(role)
    stays(lambda: api.run("add", 2, 2, within=30)["result"] == 4, 10)


@pytest.fixture
def on_node2(request: pytest.FixtureRequest) -> Iterator[Kubernetes]:
    yield from stack_on("node2", request)


@pytest.mark.timeout(900)
def test_when_the_node_of_redis_dies_all_is_503_and_kept_until_it_is_back(on_node2: Kubernetes) -> None:
    api = Client(on_node2.base_url, on_node2.api_token)
    assert len(on(on_node2, "node1")["web"]) == 1
    delayed = [api.submit("add", 1, 1, countdown=30) for _ in range(4)]
    with Senders(api) as senders:
        wait_until(lambda: len(senders.sent) >= 4, 20)
        with cut_off(on_node2):
            # A Service sends requests to the dead web, too, until the cluster has noticed.
            stays(lambda: True, NODE_GRACE + 10)
            for _ in range(10):
                answer = api.post("add", {"args": [1, 1]})
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
                assert api.get("/livez").status_code == 200
        back = time.monotonic()
        wait_until(lambda: api.get("/readyz").status_code == 200, 180)
        print(f"ready {time.monotonic() - back:.0f} s after the node is back")
    for role in ("redis", "db", *ROLES):
        on_node2.wait_ready(role)
    senders.all_succeed()
    assert {api.done(task, within=VISIBILITY + 60)["state"] for task in delayed} == {"SUCCESS"}
