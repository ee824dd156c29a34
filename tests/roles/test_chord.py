"""A chord of two hundred tasks whose worker is killed in between: its body runs, and once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.roles.conftest import PROJECT, Redis, Role
from tests.waiting import wait_until

# Two long ones in the middle: with both slots taken the worker asks for no message, which a kill might meet on its way.
SECONDS = [0.1] * 50 + [5] * 2 + [0.1] * 148
SEND = (
    "import django; django.setup(); from celery import chord; from demo.tasks import sleep, xsum; "
    f"print(chord([sleep.s(seconds) for seconds in {SECONDS}])(xsum.s()).id)"
)


def kill_a_child(worker: Role, _: Redis) -> None:
    """Kill -9 a process of the pool: one that runs the tasks has no children of its own."""
    pool = [child for child in psutil.Process(worker.process.pid).children(recursive=True) if not child.children()]
    pool[0].kill()


def kill_the_worker(worker: Role, server: Redis) -> None:
    os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.wait(10)
    # As if VISIBILITY_TIMEOUT had passed, which is a minute at least.
    held = server.client.zrange("unacked_index", 0, -1)
    assert len(held) == 2
    server.client.zadd("unacked_index", dict.fromkeys(held, 1))
    server.client.delete("unacked_mutex")  # the one who looks for them may have been killed over it; it expires too


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.parametrize("kill", [kill_a_child, kill_the_worker])
def test_the_body_of_a_chord_runs_once_although_a_process_was_killed(
    run_role: Callable[..., Role], redis_server: Redis, kill: Callable[[Role, Redis], None]
) -> None:
    worker = run_role("worker").wait_ready()
    env = worker.env | {"DJANGO_SETTINGS_MODULE": "stack.settings", "LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-W", "ignore", "-c", SEND]
    body = subprocess.check_output(command, cwd=PROJECT / "app", env=env, text=True).split()[-1]

    def result(task_id: str) -> Any:
        return json.loads(redis_server.client.get(f"celery-task-meta-{task_id}") or "{}")

    def both_slots_are_taken() -> bool:
        keys = redis_server.client.keys("celery-task-meta-*")
        states = [json.loads(meta)["status"] for meta in (redis_server.client.mget(keys) if keys else []) if meta]
        return states.count("SUCCESS") >= 50 and states.count("STARTED") == 2

    wait_until(both_slots_are_taken, 60)
    kill(worker, redis_server)
    logs = [worker.log]
    assert result(body) == {}, "the chord was over before the kill"
    if worker.process.poll() is not None:
        logs.append(run_role("worker", "worker-2").log)

    wait_until(lambda: result(body).get("status") == "SUCCESS", 90)
    assert result(body)["result"] == pytest.approx(sum(SECONDS))
    # Nothing is left that could start it a second time.
    wait_until(lambda: not redis_server.client.hlen("unacked") and not redis_server.client.llen("celery"), 60)
    runs = sum(log.read_text().count(f"Task xsum[{body}] succeeded") for log in logs)
    assert runs == 1
