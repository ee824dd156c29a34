"""The network between one pod and Redis is cut: a firewall drops what they send, and nobody hears that it does.

By iptables in the pod's own network, as the machine sees it: only where the nodes are processes of this machine.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes
from tests.traffic import Runs
from tests.waiting import stays, wait_until


@contextmanager
def cut_from_redis(stack: Kubernetes, pod: str) -> Iterator[None]:
    """The pod's packets to Redis are dropped for as long as the block lasts."""
    (found,) = [each for each in stack.pods(pod.partition("-")[0]) if each["metadata"]["name"] == pod]
    inside = ["nsenter", f"--net=/proc/{stack.pid(found)}/ns/net", "iptables"]
    rule = ["OUTPUT", "-p", "tcp", "--dport", "6379", "-j", "DROP"]
    subprocess.run([*inside, "-A", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run([*inside, "-D", *rule], check=True)


@pytest.fixture(autouse=True)
def _tools(stack: Kubernetes) -> None:
    if not (shutil.which("nsenter") and shutil.which("iptables")):
        pytest.skip("needs nsenter and iptables")
    try:
        stack.pid(stack.pods("web")[0])
    except AssertionError as error:
        pytest.skip(f"needs nodes that are processes of this machine: {error}")


@pytest.mark.timeout(300)
def test_a_web_that_is_cut_from_redis_answers_503_in_time(stack: Kubernetes, api: Client) -> None:
    before, pod = stack.restarts(), stack.names("web")[0]
    statuses = set()
    with cut_from_redis(stack, pod):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            begun = time.monotonic()
            answer = api.post("add", {"args": [1, 1]})  # the Service chooses which of both webs it asks
            statuses.add(answer.status_code)
            assert answer.status_code == 202 or answer.headers["Retry-After"]
            assert time.monotonic() - begun < 2
    assert statuses == {202, 503}
    wait_until(lambda: all(api.post("add", {"args": [1, 1]}).status_code == 202 for _ in range(10)), 30)
    assert stack.restarts() == before


@pytest.mark.timeout(300)
def test_a_worker_that_is_cut_from_redis_runs_on_and_repeats_nothing(stack: Kubernetes, api: Client) -> None:
    before, pod, runs = stack.restarts(), stack.names("worker")[0], Runs(api, "sleep")
    tasks = [api.submit("sleep", 15) for _ in range(8)]
    for task in tasks:
        api.reaches(task, "STARTED")
    with cut_from_redis(stack, pod):
        stays(lambda: True, 30)
        assert api.run("add", 2, 2, within=20)["result"] == 4  # by the other one
    assert {api.done(task, within=90)["state"] for task in tasks} == {"SUCCESS"}
    stack.wait_ready("worker")
    stays(lambda: runs.since() == 8, 5)
    assert stack.restarts() == before
