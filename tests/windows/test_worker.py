"""The worker as it runs on Windows (scope row 7): no fork, Celery's other loop, Ctrl+Break for a stop."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.machine import patience
from tests.roles.conftest import PROJECT, Redis, Role
from tests.waiting import stays, wait_until
from tests.windows.conftest import HANG, WITHOUT_POSIX, press

pytestmark = pytest.mark.slow

POOLS = ["eventlet", "threads", "solo"]
Start, Send = Callable[..., Role], Callable[..., str]


def held(server: Redis) -> int:
    return int(server.client.hlen("unacked"))


def left(server: Redis) -> tuple[int, int]:
    return held(server), int(server.client.llen("celery"))


def runs_of(worker: Role, task: str) -> int:
    return worker.log.read_text().count(f'"task_id": "{task}", "event": "on_success"')


@pytest.mark.parametrize("pool", POOLS)
def test_a_stop_lets_what_runs_finish_and_leaves_what_waits(
    pool: str, run_worker: Start, send: Send, redis_server: Redis
) -> None:
    worker = run_worker(pool).wait_ready()
    assert worker.check() is None
    # A solo worker takes nothing more while it runs a task, so there it comes second and waits in its queue.
    waiting = [send("add", 1, 2, countdown=300)] if pool != "solo" else []
    running = send("sleep", 10)
    waiting = waiting or [send("add", 1, 2, countdown=300)]
    wait_until(lambda: held(redis_server) == (1 if pool == "solo" else 2), 20)

    press(worker)

    worker.process.wait(50)
    text = worker.log.read_text()
    assert runs_of(worker, running) == 1, text
    assert left(redis_server) == (0, 1), text
    assert "Traceback" not in text
    assert "EventletDeprecationWarning" not in text


@pytest.mark.parametrize("pool", ["eventlet"])
def test_what_runs_longer_than_the_grace_is_handed_back(
    pool: str, run_worker: Start, send: Send, redis_server: Redis
) -> None:
    worker = run_worker(pool, STOP_GRACE="20").wait_ready()
    task = send("sleep", 60)
    wait_until(lambda: held(redis_server) == 1, 20)
    press(worker)
    assert worker.process.wait(40) == 0
    assert f"requeued sleep[{task}]" in worker.log.read_text()
    assert left(redis_server) == (0, 1)


def test_a_second_ctrl_c_hands_back_at_once(run_worker: Start, send: Send, redis_server: Redis) -> None:
    worker = run_worker("eventlet", STOP_GRACE="600").wait_ready()
    task = send("sleep", 600)
    wait_until(lambda: held(redis_server) == 1, 20)
    press(worker)
    wait_until(lambda: "Warm shutdown" in worker.log.read_text(), 20)
    press(worker)
    assert worker.process.wait(40) == 0
    assert f"requeued sleep[{task}]" in worker.log.read_text()
    assert left(redis_server) == (0, 1)


@pytest.mark.parametrize("pool", ["eventlet"])
def test_redis_restarts_with_all_slots_busy_and_each_task_runs_once(
    pool: str, run_worker: Start, send: Send, redis_server: Redis
) -> None:
    # On eventlet two things keep it alive, gossip (runtime/roles.py) and the call in worker/green.py: either is enough
    # for this test, and without both the worker ends.
    worker = run_worker(pool, WORKER_CONCURRENCY="1").wait_ready()
    tasks = [send("sleep", 12), send("sleep", 1)]
    wait_until(lambda: left(redis_server) == (1, 1), 20)

    redis_server.stop()
    stays(lambda: worker.process.poll() is None, 4)
    assert worker.check() is None
    redis_server.start()

    for task in tasks:
        wait_until(lambda task=task: runs_of(worker, task) == 1, 60)  # type: ignore[misc]
    wait_until(lambda: left(redis_server) == (0, 0), 20)
    after = send("add", 1, 2)
    wait_until(lambda: runs_of(worker, after) == 1, 20)
    assert [runs_of(worker, task) for task in tasks] == [1, 1]
    assert worker.process.poll() is None
    worker.wait_ready(20)


@pytest.mark.parametrize("pool", ["eventlet"])
def test_short_tasks_do_not_wait_for_the_loop(pool: str, run_worker: Start, send: Send, redis_server: Redis) -> None:
    run_worker(pool).wait_ready()
    task = send("group_task", 60)

    def done() -> bool:
        return json.loads(redis_server.client.get(f"celery-task-meta-{task}") or "{}").get("status") == "SUCCESS"

    begun = time.monotonic()
    wait_until(done, 60)
    # Two waits of Celery's loop, 2 s each, for every two tasks would be a minute; this takes 2 to 4 s.
    assert time.monotonic() - begun < patience(30)


@pytest.mark.parametrize(
    ("variable", "named"), [("WORKER_POOL=prefork", "eventlet"), ("WEB_SERVER=gunicorn", "django")]
)
def test_what_forks_is_refused_by_name(variable: str, named: str) -> None:
    name, _, value = variable.partition("=")
    role = "worker" if name == "WORKER_POOL" else "web"
    env = {"PYTHONPATH": WITHOUT_POSIX, "SECRET_KEY": "k" * 50, "REDIS_PASSWORD": "p", name: value}
    command = [sys.executable, str(PROJECT / "app" / "service.py"), "run", role]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=patience(30), check=False)
    assert done.returncode == 1
    assert f"service: {variable} cannot work on Windows" in done.stderr
    assert named in done.stderr
    if role == "worker":
        assert "ValueError: not enough values to unpack (expected 3, got 0)" in done.stderr


def test_a_hub_that_hangs_ends_its_worker_and_its_tasks_go_back(
    run_worker: Start, send: Send, redis_server: Redis
) -> None:
    worker = run_worker("eventlet").wait_ready()
    task = send("sleep", 600)
    wait_until(lambda: held(redis_server) == 1, 20)
    pid = worker.process.pid
    os.kill(int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]), HANG)
    wait_until(lambda: "has not turned" in (worker.check() or ""), 70)
    assert worker.process.wait(90) == 1
    assert "the main loop has not turned" in worker.log.read_text()
    assert f"requeued sleep[{task}]" in worker.log.read_text()
    assert left(redis_server) == (0, 1)
