"""A stop finishes what fits and hands back what does not, in every pool, and always with exit code 0."""

import json
import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.roles.conftest import Redis, Role
from tests.waiting import wait_until

POOLS = ["prefork", "threads", "solo"]


def held(server: Redis) -> int:
    return int(server.client.hlen("unacked"))


@pytest.mark.parametrize("pool", POOLS)
def test_worker_finishes_its_task_before_stopping(
    pool: str, run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker", WORKER_POOL=pool).wait_ready()
    task = send("sleep", 4)
    wait_until(lambda: held(redis_server) == 1, 10)

    begun = time.monotonic()
    worker.process.terminate()

    assert worker.process.wait(20) == 0
    assert time.monotonic() - begun < 10  # it waits for the task, not for the whole grace
    assert json.loads(redis_server.client.get(f"celery-task-meta-{task}"))["status"] == "SUCCESS"
    assert (held(redis_server), redis_server.client.llen("default")) == (0, 0)


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_longer_than_the_grace_is_handed_back_and_runs_again(
    pool: str, run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker", WORKER_POOL=pool, STOP_GRACE="20").wait_ready()
    task = send("sleep", 10)
    wait_until(lambda: held(redis_server) == 1, 10)

    begun = time.monotonic()
    worker.process.terminate()

    assert worker.process.wait(30) == 0
    assert time.monotonic() - begun < 20
    assert f"handed back sleep[{task}]" in worker.log.read_text()
    assert (held(redis_server), redis_server.client.llen("default")) == (0, 1)
    other = run_role("worker", "other").wait_ready()
    wait_until(lambda: held(redis_server) == 1, 10)
    wait_until(lambda: f'"task_id": "{task}", "event": "on_success"' in other.log.read_text(), 40)


def test_a_delayed_task_is_back_in_its_queue_when_its_worker_stops(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker").wait_ready()
    send("add", 1, 2, countdown=300)
    wait_until(lambda: held(redis_server) == 1, 10)
    worker.process.terminate()
    assert worker.process.wait(10) == 0
    assert (held(redis_server), redis_server.client.llen("default")) == (0, 1)


@pytest.mark.chaos
def test_a_task_whose_pool_process_is_killed_runs_again(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker").wait_ready()
    task = send("sleep", 4)

    def pid_of_the_run() -> int:
        meta = json.loads(redis_server.client.get(f"celery-task-meta-{task}") or "{}")
        return int((meta.get("result") or {}).get("pid", 0)) if meta.get("status") == "STARTED" else 0

    os.kill(wait_until(pid_of_the_run, 10), signal.SIGKILL)
    wait_until(lambda: f'"task_id": "{task}", "event": "on_success"' in worker.log.read_text(), 30)
    assert redis_server.client.hget(f"stack:task:{task}", "retries") == "1"


@pytest.mark.parametrize("name", ["SIGQUIT", "SIGINT"])
def test_a_stop_by_another_signal_leaves_nothing_behind(
    name: str, run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker").wait_ready()
    send("add", 1, 2, countdown=300)
    send("sleep", 3)
    wait_until(lambda: held(redis_server) == 2, 10)
    worker.process.send_signal(signal.Signals[name])
    worker.process.wait(30)
    assert held(redis_server) == 0
    assert redis_server.client.llen("default") in (1, 2)  # QUIT ends the running task; it goes back too
