"""One pod goes away while people work: the lines of the outage table in k8s/README.md that name a pod."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.chaos.conftest import VISIBILITY
from tests.chaos.nodes import ROLES
from tests.chaos.senders import Senders
from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes
from tests.k8s.test_running import rotate
from tests.traffic import Runs, Ticks, load, outcome
from tests.waiting import stays, wait_until

DELETED = ["--wait=false"]
FORCED = ["--force", "--grace-period=0"]
HOW = [pytest.param(DELETED, id="deleted"), pytest.param(FORCED, id="forced")]


@pytest.fixture(autouse=True)
def _all_are_ready(stack: Kubernetes) -> Iterator[None]:
    for role in ("redis", "db", *ROLES):
        stack.wait_ready(role)
    yield
    for role in ("redis", "db", *ROLES):
        stack.wait_ready(role)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ROLES)
def test_a_pod_that_is_deleted_fails_no_request_and_loses_no_task(stack: Kubernetes, api: Client, role: str) -> None:
    pod, runs = stack.names(role)[0], Runs(api, "sleep")
    with Ticks(api) as ticks:
        wait_until(lambda: ticks.seen, 60)
        with load(api) as seen:
            stack.kubectl("delete", "pod", pod, *DELETED)
            wait_until(lambda: pod not in stack.names(role), 60)
            stack.wait_ready(role)
        wait_until(lambda: len(ticks.seen) >= 4, 60)
        print(f"{role}: gaps between ticks:", ticks.check(longest=60))
    assert not seen["failed"], seen["failed"][:5]
    assert outcome(api, seen) == {"SUCCESS": len(seen["tasks"])}
    assert runs.since() == len([task for task in seen["tasks"] if api.state(task)["name"] == "sleep"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", HOW)
def test_redis_0_deleted_is_a_503_for_seconds_and_loses_no_task(stack: Kubernetes, api: Client, how: list[str]) -> None:
    runs = Runs(api, "add")
    with Senders(api) as senders:
        wait_until(lambda: len(senders.sent) >= 4, 20)
        stack.kubectl("delete", "pod", "redis-0", *how)
        wait_until(senders.refused, 20, every=0.05)
        stack.wait_ready("redis")
        senders.accepted_again()
    senders.print_refused(f"redis-0 {' '.join(how)}")
    # It serves from the moment it listens; until its pod counted as ready it took some seconds more.
    again = min(call.ended for call in senders.sent if call.task and call.begun > senders.refused()[0].begun)
    (pod,) = stack.pods("redis")
    (ready,) = [each for each in pod["status"]["conditions"] if each["type"] == "Ready"]
    assert again < datetime.fromisoformat(ready["lastTransitionTime"]).timestamp()
    senders.all_succeed()
    accepted = len(senders.sent) - len(senders.refused())
    # One whose answer Redis could not give any more may have been sent, and its caller tries again.
    assert accepted <= runs.since() <= len(senders.sent)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", HOW)
def test_db_0_deleted_fails_no_task_and_no_call_that_needs_only_redis(
    stack: Kubernetes, api: Client, how: list[str]
) -> None:
    with Senders(api) as senders:
        wait_until(lambda: len(senders.sent) >= 4, 20)
        begun = time.monotonic()
        stack.kubectl("delete", "pod", "db-0", *how)
        wait_until(lambda: api.get("/readyz").json()["missing"] == ["database"], 20, every=0.05)
        wait_until(lambda: api.get("/readyz").status_code == 200, 120)
        print(f"db-0 {' '.join(how)}: back after {time.monotonic() - begun:.1f} s")
        senders.accepted_again()
    assert not senders.refused()
    senders.all_succeed()


@pytest.mark.timeout(600)
def test_tasks_that_outlast_their_workers_stop_run_again_and_end_once(stack: Kubernetes, api: Client) -> None:
    runs, tasks = Runs(api, "sleep"), [api.submit("sleep", 90) for _ in range(4)]
    for task in tasks:
        api.reaches(task, "STARTED", within=30)
    stack.kubectl("rollout", "restart", "deployment/worker")
    assert {api.done(task, within=400)["state"] for task in tasks} == {"SUCCESS"}
    stack.wait_ready("worker")
    assert runs.since() == 4


@pytest.mark.timeout(300)
def test_a_roll_out_that_is_undone_fails_no_request_and_loses_no_task(stack: Kubernetes, api: Client) -> None:
    runs = Runs(api, "sleep")
    with load(api) as seen:
        for verb in ("restart", "undo"):
            for role in ROLES:
                stack.kubectl("rollout", verb, f"deployment/{role}")
            for role in ROLES:
                stack.wait_ready(role)
    assert not seen["failed"], seen["failed"][:5]
    assert outcome(api, seen) == {"SUCCESS": len(seen["tasks"])}
    assert runs.since() == len([task for task in seen["tasks"] if api.state(task)["name"] == "sleep"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("key", ["web_redis_password", "worker_redis_password"])
def test_a_password_that_is_rotated_under_load_fails_no_request(stack: Kubernetes, api: Client, key: str) -> None:
    before = stack.secret(key)
    with load(api) as seen:
        done = rotate(stack, key)
        assert done.returncode == 0, done.stdout + done.stderr
    assert stack.secret(key) != before
    assert not seen["failed"], seen["failed"][:5]
    assert outcome(api, seen) == {"SUCCESS": len(seen["tasks"])}


@pytest.mark.timeout(300)
def test_a_web_deleted_by_force_cuts_off_only_what_it_answers(stack: Kubernetes, api: Client) -> None:
    with load(api) as seen:
        stack.kubectl("delete", "pod", stack.names("web")[0], *FORCED)
        stack.wait_ready("web")
        cut_off = len(seen["failed"])
        stays(lambda: len(seen["failed"]) == cut_off, 5)
    print(f"{cut_off} of {seen['calls']} requests were cut off")
    assert all("ConnectionError" in each for each in seen["failed"]), seen["failed"][:5]
    assert cut_off <= 5, "load has five callers"
    assert outcome(api, seen) == {"SUCCESS": len(seen["tasks"])}


@pytest.mark.timeout(600)
def test_what_a_worker_deleted_by_force_held_runs_again_in_time(stack: Kubernetes, api: Client) -> None:
    runs, tasks = Runs(api, "sleep"), [api.submit("sleep", 20) for _ in range(8)]
    for task in tasks:
        api.reaches(task, "STARTED")
    begun = time.monotonic()
    stack.kubectl("delete", "pod", stack.names("worker")[0], *FORCED)
    assert api.run("add", 2, 2, within=60)["result"] == 4
    assert {api.done(task, within=VISIBILITY + 60)["state"] for task in tasks} == {"SUCCESS"}
    print(f"the last of what it held ended after {time.monotonic() - begun:.0f} s")
    assert runs.since() == len(tasks)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ["beat", "flower"])
def test_a_pod_that_is_deleted_by_force_is_replaced_and_loses_no_task(
    stack: Kubernetes, api: Client, role: str
) -> None:
    with Ticks(api) as ticks:
        wait_until(lambda: ticks.seen, 60)
        stack.kubectl("delete", "pod", stack.names(role)[0], *FORCED)
        stack.wait_ready(role)
        wait_until(lambda: len(ticks.seen) >= 4, 60)
        print(f"{role} by force: gaps between ticks:", ticks.check(longest=60))
