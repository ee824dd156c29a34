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

INTERVAL = 30  # seconds, of add_every_30_seconds


def ticks(stack: Target) -> list[datetime]:
    """When add_every_30_seconds was sent, by whichever beat."""
    lines = lines_of(stack.logs("beat"), r"^beat: sending add_every_30_seconds \(add\)$")
    return sorted(datetime.fromisoformat(line["timestamp"]) for line in lines)


def gaps(times: list[datetime]) -> list[float]:
    return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]


def one_per_interval(times: list[datetime]) -> bool:
    return all(INTERVAL - 2 < gap < INTERVAL + 4 for gap in gaps(times))


@pytest.fixture
def standby(vm: Supervisor) -> Iterator[str]:
    yield vm.add_standby_beat()
    vm.remove_standby_beat()


def test_beat_ticks_once_per_interval(stack: Target, api: Client) -> None:
    wait_until(lambda: len(ticks(stack)) >= 3, 3 * INTERVAL + 20)

    times = ticks(stack)

    assert one_per_interval(times), gaps(times)


def test_beat_is_a_process_of_its_own_beside_the_worker(stack: Target, api: Client, stopped: Stopped) -> None:
    with stopped("worker"):
        before = len(ticks(stack))
        wait_until(lambda: len(ticks(stack)) > before, INTERVAL + 10)
        assert stack.check("beat", ready=True) is None


@pytest.mark.chaos
def test_two_beats_tick_once_per_interval_and_the_standby_takes_over(vm: Supervisor, api: Client, standby: str) -> None:
    def quiet() -> bool:
        told = api.get("/api/queues").json()
        return not told["unacknowledged"] and not sum(queue["waiting"] for queue in told["queues"])

    wait_until(quiet, 20)  # what beat sent before is counted
    before, runs = ticks(vm), api.counters("add")["success"]
    wait_until(lambda: len(ticks(vm)) > len(before), INTERVAL + 10)
    assert "took the lock" not in vm.logs(standby), "both beats tick"

    vm.stop("beat")
    try:
        wait_until(lambda: lines_of(vm.logs(standby), "^beat: took the lock, ticking$"), 15)
        wait_until(lambda: len(ticks(vm)) > len(before) + 1, INTERVAL + 10)
    finally:
        vm.start("beat")

    assert lines_of(vm.logs(standby), r"^beat: sending add_every_30_seconds")
    assert one_per_interval(ticks(vm)[-3:]), ticks(vm)
    wait_until(lambda: api.counters("add")["success"] - runs == len(ticks(vm)) - len(before), 5)


@pytest.mark.chaos
def test_a_beat_that_is_killed_leaves_its_lock_to_the_standby(vm: Supervisor, api: Client) -> None:
    # The standby of the test before may have had the lock until just now.
    wait_until(lambda: (vm.root / "run" / "beat.heartbeat").read_text() == "ready", 20)
    standby = vm.add_standby_beat()
    try:
        taken = len(lines_of(vm.logs(standby), "^beat: took the lock, ticking$"))
        vm.signal("beat", "STOP")  # it holds the lock and does not know that it stands still
        try:
            wait_until(lambda: len(lines_of(vm.logs(standby), "^beat: took the lock, ticking$")) > taken, 15)
        finally:
            vm.signal("beat", "CONT")
        # The first finds its lock gone, stands by, and stays ready.
        wait_until(lambda: lines_of(vm.logs("beat"), "^beat: not ticking"), 10)
        vm.wait_ready("beat")
    finally:
        vm.remove_standby_beat()
