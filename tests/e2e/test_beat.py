"""Beat: one tick per interval, however many beats there are."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

import pytest

from tests.e2e.client import Client, lines_of
from tests.e2e.conftest import Stopped
from tests.e2e.supervisor import Supervisor
from tests.e2e.targets import Target
from tests.waiting import wait_until

NAME, INTERVAL = "of-these-beats", 5  # seconds


@pytest.fixture(autouse=True)
def _schedule(api: Client) -> Iterator[None]:
    """A schedule that these tests alone watch; of a task that nothing else runs."""
    body = {"task": "mul", "args": [1, 1], "every": INTERVAL}
    assert api.call("PUT", f"/api/schedules/{NAME}", json=body).status_code in (200, 201)
    yield
    api.call("DELETE", f"/api/schedules/{NAME}")


def ticks(stack: Target) -> list[datetime]:
    """When the schedule's task was sent, by whichever beat."""
    lines = lines_of(stack.logs("beat"), rf"^beat: sending {NAME} \(mul\)$")
    return sorted(datetime.fromisoformat(line["timestamp"]) for line in lines)


def gaps(times: list[datetime]) -> list[float]:
    return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]


def one_per_interval(times: list[datetime]) -> bool:
    """Beat looks every two seconds, so a tick may be late by that; the next one is counted from it."""
    return all(INTERVAL - 2 < gap < INTERVAL + 4 for gap in gaps(times))


@pytest.fixture
def standby(vm: Supervisor) -> Iterator[str]:
    yield vm.add_standby_beat()
    vm.remove_standby_beat()


@pytest.mark.runtime
def test_beat_ticks_once_per_interval(stack: Target) -> None:
    before = len(ticks(stack))
    wait_until(lambda: len(ticks(stack)) >= before + 4, 4 * INTERVAL + 20, every=1)

    times = ticks(stack)[before:]

    assert one_per_interval(times), gaps(times)


def test_beat_is_a_process_of_its_own_beside_the_worker(stack: Target, stopped: Stopped) -> None:
    with stopped("worker"):
        before = len(ticks(stack))
        wait_until(lambda: len(ticks(stack)) > before, INTERVAL + 10, every=1)
        assert stack.check("beat", ready=True) is None


@pytest.mark.chaos
def test_two_beats_tick_once_per_interval_and_the_standby_takes_over(vm: Supervisor, api: Client, standby: str) -> None:
    def quiet() -> bool:
        told = api.get("/api/queues").json()
        return not told["unacknowledged"] and not sum(queue["waiting"] for queue in told["queues"])

    wait_until(quiet, 20)  # what beat sent before is counted
    before, runs = ticks(vm), api.counters("mul")["success"]
    wait_until(lambda: len(ticks(vm)) > len(before), INTERVAL + 10)
    assert "took the lock" not in vm.logs(standby), "both beats tick"

    vm.stop("beat")
    try:
        wait_until(lambda: lines_of(vm.logs(standby), "^beat: took the lock, ticking$"), 15)
        wait_until(lambda: lines_of(vm.logs(standby), f"^beat: sending {NAME}"), INTERVAL + 10)
    finally:
        vm.start("beat")

    times = ticks(vm)[len(before) :]
    assert all(gap > INTERVAL - 2 for gap in gaps(times)), times
    assert all(gap < INTERVAL + 15 for gap in gaps(times)), times  # what a stopped beat leaves is free at once
    wait_until(lambda: api.counters("mul")["success"] - runs == len(ticks(vm)) - len(before), 5)


@pytest.mark.slow
@pytest.mark.chaos
def test_a_beat_that_is_frozen_leaves_its_lock_to_the_standby(vm: Supervisor, standby: str) -> None:
    # The standby of the test before may have had the lock until just now.
    wait_until(lambda: (vm.root / "run" / "beat.heartbeat").read_text() == "ready", 20)
    taken = len(lines_of(vm.logs(standby), "^beat: took the lock, ticking$"))
    vm.signal("beat", "STOP")  # it holds the lock and does not know that it stands still
    try:
        wait_until(lambda: len(lines_of(vm.logs(standby), "^beat: took the lock, ticking$")) > taken, 15)
    finally:
        vm.signal("beat", "CONT")
    # The first finds its lock gone, stands by, and stays ready.
    wait_until(lambda: lines_of(vm.logs("beat"), "^beat: not ticking"), 10)
    vm.wait_ready("beat")
