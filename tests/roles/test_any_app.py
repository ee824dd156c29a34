"""A project that never heard of the stack: what it sends is recorded, what is revoked never starts, whoever it is."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.machine import patience
from tests.roles.conftest import PASSWORD, PROJECT, Redis, Role
from tests.waiting import wait_until

TASKS = "stranger.tasks"
PLACE = {"PROJECT_DIR": "../tests/roles/modules", "PROJECT_SETTINGS": "stranger.settings", "DATABASE_URL": ""}


class Stranger:
    """The stranger's project over a Redis of its own: its worker, and scripts as it has them."""

    def __init__(self, server: Redis, start: Callable[..., Role], folder: Path, **variables: str):
        self.redis, self._start, self.variables = server.client, start, PLACE | variables
        shell = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self.env = shell | server.known(folder) | {"PYTHONPATH": str(PROJECT / "app")} | self.variables

    def worker(self, pool: str = "prefork") -> Role:
        return self._start("worker", WORKER_POOL=pool, **self.variables).wait_ready()

    def run(self, code: str) -> Any:
        """What code of the project prints, as JSON; it runs as a script of it does, or a view."""
        start = (
            "import json, stack.celery, django; django.setup()\n"
            "from stranger.celery import app; from stranger.tasks import *\n"
        )
        command = [sys.executable, "-W", "ignore", "-c", start + code]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=patience(60), check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def record(self, task_id: str) -> dict[str, str]:
        return dict(self.redis.hgetall(f"stack:task:{task_id}"))


@pytest.fixture
def stranger(redis_server: Redis, run_role: Callable[..., Role], tmp_path: Path) -> Callable[..., Stranger]:
    return lambda **variables: Stranger(redis_server, run_role, tmp_path, **variables)


SEND = """
from celery import chain, chord, group
from celery.canvas import signature
sent = {
    "delay": add.delay(1, 2), "async": silent.apply_async([1], task_id="of-my-own"),
    "name": app.send_task("stranger.tasks.add", [1, 2]), "class": report.delay(1),
    "signature": signature("stranger.tasks.add", args=(2, 2), app=app).delay(),
    "immutable": add.si(1, 2).apply_async(link=nothing.si()), "broken": broken.apply_async(link_error=nothing.s()),
    "retried": stubborn.delay(2), "becomes": becomes.delay(3), "sends": sends.delay(),
    "chain": (add.s(1, 1) | add.s(3)).apply_async(), "chord": chord([add.s(1, 1), add.s(2, 2)])(total.s()),
}
parts = group(add.s(1, 1), add.s(2, 2)).apply_async()
"""


def test_what_a_project_sends_is_recorded_and_a_revoked_one_never_starts(
    stranger: Callable[..., Stranger],
) -> None:
    project = stranger()
    revoked = project.run(REVOKE)
    worker = project.worker()
    results, group, states = project.run(
        SEND + "ends = {name: result.get(timeout=60, propagate=False) for name, result in sent.items()}\n"
        "from stack.state import records\n"
        "ids = {name: result.id for name, result in sent.items()} | {'part': parts.children[0].id}\n"
        "print(json.dumps([{n: repr(e) for n, e in ends.items()}, parts.get(timeout=60),"
        " {n: records.read(i) for n, i in ids.items()}]))"
    )
    child = results.pop("sends").strip("'")
    assert results == {
        "delay": "3",
        "async": "1",
        "name": "3",
        "class": "2",
        "signature": "4",
        "immutable": "3",
        "broken": "KeyError('of the stranger')",
        "retried": "2",
        "becomes": "6",
        "chain": "5",
        "chord": "6",
    }
    assert group == [2, 4]
    assert {name: state["state"] for name, state in states.items()} == dict.fromkeys(states, "SUCCESS") | {
        "broken": "FAILURE"
    }
    assert states["async"]["id"] == "of-my-own"
    assert states["retried"]["retries"] == 2
    assert states["becomes"]["name"] == f"{TASKS}.becomes"  # it became a canvas and kept its name
    assert states["broken"]["error"] == {"type": "KeyError", "message": "of the stranger"}
    assert project.record(child)["name"] == f"{TASKS}.add"
    for key in project.redis.scan_iter("stack:task:*"):
        assert 86_000 < project.redis.ttl(key) <= 86_400
    _never_started(project, revoked, worker)

    early, late = project.run("print(json.dumps([early.delay(30).id, mail.delay(30).id]))")
    wait_until(lambda: all("started_at" in project.record(each) for each in (early, late)), 20)
    wait_until(lambda: project.redis.hlen("unacked") == 1, 5)  # the other was acknowledged before it started
    assert late in str(project.redis.hgetall("unacked"))


REVOKE = (
    "from stack.state import records; task_id = silent.delay(1).id\n"
    "assert records.claim(task_id, '', records.REVOKED) == records.REVOKED; print(json.dumps(task_id))"
)


def _never_started(project: Stranger, task_id: str, worker: Role) -> None:
    meta = wait_until(lambda: json.loads(project.redis.get(f"celery-task-meta-{task_id}") or "null"), 20)
    assert (meta or {})["status"] == "REVOKED"
    assert f"silent ran {task_id}" not in worker.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_revoked_task_never_starts_in_another_pool(pool: str, stranger: Callable[..., Stranger]) -> None:
    project = stranger()
    revoked, other = project.run(REVOKE), project.run("print(json.dumps(silent.delay(2).id))")
    worker = project.worker(pool)
    _never_started(project, revoked, worker)
    wait_until(lambda: f"silent ran {other}" in worker.log.read_text(), 20)
    worker.process.terminate()
    assert worker.process.wait(30) == 0
    assert project.redis.hlen("unacked") == 0


@pytest.mark.parametrize(
    "variables",
    [{"STRANGER_RESULTS": "disabled://"}, pytest.param({"STRANGER_IGNORES": "yes"}, marks=pytest.mark.slow)],
)
def test_without_results_the_record_says_how_a_task_ended(
    variables: dict[str, str], stranger: Callable[..., Stranger]
) -> None:
    project = stranger(**variables)
    project.worker()
    ids = project.run(
        "sent = [add.delay(1, 2), broken.delay(), stubborn.delay(1), mail.delay(0), endless.delay(),"
        " add.apply_async((1, 2), expires=0.001), rejects.delay()]\nprint(json.dumps([each.id for each in sent]))"
    )
    wait_until(lambda: all("state" in project.record(each) for each in ids), 20)
    states = project.run(f"from stack.state import records\nprint(json.dumps([records.read(each) for each in {ids}]))")
    assert [(state["state"], state["ready"]) for state in states] == [
        *(("SUCCESS", True), ("FAILURE", True), ("SUCCESS", True), ("SUCCESS", True)),
        *(("FAILURE", True), ("REVOKED", True), ("FAILURE", True)),
    ]
    assert states[4]["error"]["type"] == "TimeLimitExceeded"
    assert states[1]["error"] == {"type": "KeyError", "message": "'of the stranger'"}
    assert states[2]["retries"] == 1
    assert states[5]["error"] == {"type": "TaskRevokedError", "message": "expired"}
    assert states[6]["error"]["type"] == "Reject"
    assert all(state["done_at"] for state in states)


def test_a_message_and_its_record_are_one_transaction(stranger: Callable[..., Stranger], redis_server: Redis) -> None:
    project = stranger()
    seen: list[str] = []
    # Without a limit, which is five seconds where nobody says otherwise: on a busy machine the script begins later.
    watcher = redis.Redis(port=redis_server.port, password=PASSWORD, decode_responses=True, socket_timeout=None)
    with watcher.monitor() as monitor:

        def listen() -> None:
            for command in monitor.listen():
                seen.append(command["command"])
                if command["command"].startswith("PING end"):
                    return

        thread = threading.Thread(target=listen)
        thread.start()
        project.run(
            "from celery import group\nadd.delay(1, 2)\nfrom stack.broker.connections import client\n"
            "client().echo('begin'); add.delay(1, 2); client().echo('end')\n"
            "group(add.s(1, 2) for _ in range(50)).delay(); client().echo('group'); print(1)"
        )
        redis_server.client.execute_command("PING", "end")
        thread.join(10)
    words = [command.split()[0] for command in seen]
    begin, end, group = (seen.index(f"ECHO {word}") for word in ("begin", "end", "group"))
    assert words[begin + 1 : end] == ["MULTI", "LPUSH", "HSET", "HSETNX", "HSETNX", "EXPIRE", "EXEC"]
    assert words[end + 1 : group] == words[begin + 1 : end] * 50  # and no subscription, which nobody would read


@pytest.mark.slow
def test_a_task_that_sends_another_waits_for_a_redis_that_is_away(
    stranger: Callable[..., Stranger], redis_server: Redis
) -> None:
    project = stranger()
    project.worker()
    task = project.run("print(json.dumps(sends.delay(4).id))")
    wait_until(lambda: "started_at" in project.record(task), 20)
    redis_server.stop()
    time.sleep(8)  # an outage that lasts well over the second in which Celery would give up
    redis_server.start()
    project.redis = redis_server.client

    def ended() -> Any:
        meta = json.loads(project.redis.get(f"celery-task-meta-{task}") or "{}")
        return meta if meta.get("status") in ("SUCCESS", "FAILURE") else None

    meta = wait_until(ended, 40)
    assert meta["status"] == "SUCCESS", meta
    wait_until(lambda: project.redis.exists(f"celery-task-meta-{meta['result']}"), 20)
    assert project.record(meta["result"])["name"] == f"{TASKS}.add"


def test_a_queue_that_is_another_key_takes_neither_message_nor_record(
    stranger: Callable[..., Stranger], redis_server: Redis
) -> None:
    redis_server.client.set("celery", "no list")
    project = stranger()
    told = project.run(
        "try:\n    add.apply_async((1, 2), task_id='x')\nexcept Exception as error:\n    print(json.dumps(str(error)))"
    )
    assert "WRONGTYPE" in told
    assert project.record("x") == {}


def test_a_project_runs_its_tasks_in_its_own_tests_without_redis(stranger: Callable[..., Stranger]) -> None:
    project = stranger(REDIS_URL="redis://127.0.0.1:1/0")
    assert project.run(
        "app.conf.task_always_eager = True\n"
        "from stranger.tasks import add\n"
        "print(json.dumps([add.delay(1, 2).get(), silent.apply([1]).get(), stubborn.delay(1).get()]))"
    ) == [3, 1, 1]
