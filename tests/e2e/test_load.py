"""Many callers at once."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from tests.e2e.client import Client
from tests.e2e.supervisor import Supervisor
from tests.waiting import wait_until


@pytest.mark.runtime
def test_with_fifty_waiters_the_health_checks_answer_within_a_second(api: Client) -> None:
    task_id = api.submit("sleep", 6)
    took: dict[str, list[float]] = {"/livez": [], "/readyz": []}
    refused = 0

    with ThreadPoolExecutor(50) as pool:
        waiters = [pool.submit(api.get, f"/api/tasks/{task_id}?wait=20") for _ in range(50)]
        while not all(waiter.done() for waiter in waiters):
            for path, times in took.items():
                begun = time.monotonic()
                refused += api.get(path).status_code != 200
                times.append(time.monotonic() - begun)
        answers = [waiter.result() for waiter in waiters]

    assert [answer.status_code for answer in answers] == [200] * 50
    held = [answer for answer in answers if answer.json()["ready"]]
    assert held, "no call waited, so this test saw no load"
    assert len(held) < 50, "no call was answered at once, so nothing was left for others"
    # All but a few: fifty callers at once are a burst for the machine too. With no thread left a check would wait 6 s.
    assert refused <= 0.05 * len(took["/readyz"])
    for times in took.values():
        assert sorted(times)[int(len(times) * 0.95)] < 1, times


def unread(pids: list[int], port: int) -> int:
    """Bytes that Redis sent and these processes have not read: Recv-Q of their connections to it."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(link.readlink().name)
            except FileNotFoundError:
                continue
    total = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        remote, queues, inode = fields[2], fields[4], fields[9]
        if int(remote.rpartition(":")[2], 16) == port and f"socket:[{inode}]" in inodes:
            total += int(queues.rpartition(":")[2], 16)
    return total


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc/net/tcp")
def test_two_thousand_enqueues_leave_no_unread_data_in_the_web_role(vm: Supervisor, api: Client) -> None:
    web = psutil.Process(vm.pid("web"))

    def pids() -> list[int]:
        return [web.pid, *(child.pid for child in web.children(recursive=True))]

    def enqueue(count: int) -> Counter[int]:
        seen: Counter[int] = Counter()
        with requests.Session() as session:
            for number in range(count):
                answer = session.post(f"{api.base_url}/api/tasks/add", json={"args": [number, 1]}, timeout=20)
                seen[answer.status_code] += 1
        return seen

    vm.stop("worker")
    try:
        with vm.redis() as admin:
            waiting = admin.llen("celery")
            before = unread(pids(), vm.redis_port)
            # Celery's own result backend would leave some 169 bytes of each: eighty times what is allowed below.
            with ThreadPoolExecutor(8) as pool:
                codes = sum(pool.map(enqueue, [250] * 8), Counter())
            assert codes == {202: 2_000}
            # Beat may add an entry of its own.
            assert 2_000 <= admin.llen("celery") - waiting <= 2_010
            wait_until(lambda: unread(pids(), vm.redis_port) < 4096, 5)
            admin.delete("celery")
    finally:
        vm.start("worker")

    assert before < 4096
