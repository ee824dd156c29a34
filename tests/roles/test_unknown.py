"""A roll-out's two versions share a queue: a task of the new one is not lost to a worker of the old one."""

import json
import time
from collections.abc import Callable

import pytest

from tests.roles.conftest import Redis, Role
from tests.waiting import wait_until

NAME = "only_in_the_next_version"


def result(server: Redis, task_id: str) -> dict:
    return json.loads(server.client.get(f"celery-task-meta-{task_id}") or "{}")


def test_a_task_of_the_next_version_waits_for_its_worker(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    old = run_role("worker", "old").wait_ready()
    task = send(NAME)
    wait_until(lambda: f"{NAME}[{task}] is unknown to this version" in old.log.read_text(), 10)
    other = send("add", 1, 2)
    wait_until(lambda: result(redis_server, other).get("result") == 3, 10)

    run_role("worker", "new", DJANGO_SETTINGS_MODULE="newer_settings").wait_ready()

    wait_until(lambda: result(redis_server, task).get("result") == "done", 30)
    wait_until(lambda: redis_server.client.hlen("unacked") == redis_server.client.llen("celery") == 0, 10)


@pytest.mark.slow
def test_a_stop_leaves_an_unknown_task_in_its_queue(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    old = run_role("worker", "old").wait_ready()
    task = send(NAME)
    wait_until(lambda: f"{NAME}[{task}] is unknown to this version" in old.log.read_text(), 10)

    old.process.terminate()

    assert old.process.wait(20) == 0
    assert (redis_server.client.hlen("unacked"), redis_server.client.llen("celery")) == (0, 1)


@pytest.mark.slow
def test_a_task_that_no_version_knows_fails_by_name_in_the_end(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    task = send(NAME)
    redis_server.client.hset(f"stack:task:{task}", "queued_at", time.time() - 601)

    run_role("worker").wait_ready()

    wait_until(lambda: result(redis_server, task).get("status") == "FAILURE", 10)
    assert NAME in json.dumps(result(redis_server, task))
