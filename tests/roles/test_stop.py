"""A stop finishes what fits and hands back what does not, in every pool, and always with exit code 0."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.machine import patience
from tests.roles.conftest import PASSWORD, PROJECT, Redis, Role
from tests.waiting import wait_until

POOLS = ["prefork", *(pytest.param(pool, marks=pytest.mark.slow) for pool in ("threads", "solo"))]


def held(server: Redis) -> int:
    return int(server.client.hlen("unacked"))


@pytest.mark.parametrize("pool", POOLS)
def test_worker_finishes_its_task_before_stopping(
    pool: str, run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker", WORKER_POOL=pool).wait_ready()
    task = send("sleep", 4)
    wait_until(lambda: held(redis_server) == 1, 10)

    worker.process.terminate()

    assert worker.process.wait(30) == 0  # it waits for the task, not for the whole grace
    assert json.loads(redis_server.client.get(f"celery-task-meta-{task}"))["status"] == "SUCCESS"
    assert (held(redis_server), redis_server.client.llen("celery")) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
def test_a_task_longer_than_the_grace_is_handed_back_and_runs_again(
    pool: str, run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker", WORKER_POOL=pool, STOP_GRACE="20").wait_ready()
    task = send("sleep", 15)
    wait_until(lambda: held(redis_server) == 1, 10)

    begun = time.monotonic()
    worker.process.terminate()

    assert worker.process.wait(30) == 0
    assert time.monotonic() - begun < 20
    assert f"requeued sleep[{task}]" in worker.log.read_text()
    assert (held(redis_server), redis_server.client.llen("celery")) == (0, 1)
    other = run_role("worker", "other").wait_ready()
    wait_until(lambda: held(redis_server) == 1, 10)
    wait_until(lambda: f'"task_id": "{task}", "event": "on_success"' in other.log.read_text(), 50)


def test_a_delayed_task_is_back_in_its_queue_when_its_worker_stops(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker").wait_ready()
    send("add", 1, 2, countdown=300)
    wait_until(lambda: held(redis_server) == 1, 10)
    worker.process.terminate()
    assert worker.process.wait(10) == 0
    assert (held(redis_server), redis_server.client.llen("celery")) == (0, 1)


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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGQUIT", "SIGINT"])
def test_a_stop_by_another_signal_leaves_nothing_behind(
    name: str, run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker").wait_ready()
    send("add", 1, 2, countdown=300)
    send("sleep", 8)
    wait_until(lambda: held(redis_server) == 2, 10)
    worker.process.send_signal(signal.Signals[name])
    worker.process.wait(30)
    assert held(redis_server) == 0
    assert redis_server.client.llen("celery") in (1, 2)  # QUIT ends the running task; it goes back too


@pytest.mark.slow
def test_what_waits_for_a_retry_or_for_its_rate_is_handed_back_too(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    variables = {"WORKER_CONCURRENCY": "3", "STOP_GRACE": "20", "DJANGO_SETTINGS_MODULE": "stubborn_settings"}
    worker = run_role("worker", **variables).wait_ready()
    held = [send("sleep", 600), send("later"), send("seldom"), send("seldom")]
    wait_until(lambda: redis_server.client.hlen("unacked") == 3, 20)  # the first `seldom` is done

    worker.process.terminate()

    assert worker.process.wait(30) == 0
    assert redis_server.client.hlen("unacked") == 0
    waiting = "".join(redis_server.client.lrange("celery", 0, -1))
    assert [task in waiting for task in held] == [True, True, False, True]


def test_a_task_that_kombu_leaves_in_the_socket_of_a_full_worker_is_noted(redis_server: Redis) -> None:
    """A delayed task takes the last slot while the worker asks for one more: the answer comes and is not read."""
    env = os.environ | {"PORT": str(redis_server.port), "PASSWORD": PASSWORD, "PYTHONPATH": str(PROJECT / "app")}
    command = [sys.executable, str(PROJECT / "tests/roles/modules/paused.py")]
    unread, noted, cancelled = subprocess.check_output(command, env=env, text=True, timeout=patience(60)).split()
    assert unread == "queued=0,unacked=0"
    assert noted == "queued=0,unacked=1"
    assert cancelled == "queued=1,unacked=0"
