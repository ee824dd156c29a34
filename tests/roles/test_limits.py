"""A task that takes too long is asked to end, then killed, and its worker goes on."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.roles.conftest import Redis, Role
from tests.waiting import wait_until


def result(server: Redis, task: str) -> dict[str, Any]:
    return dict(json.loads(server.client.get(f"celery-task-meta-{task}") or '{"status": "PENDING"}'))


def fails(server: Redis, task: str) -> str:
    """The name of the error with which it fails."""
    wait_until(lambda: result(server, task)["status"] == "FAILURE", 40)
    return str(result(server, task)["result"]["exc_type"])


@pytest.mark.slow
def test_a_task_is_asked_to_end_before_the_limit_and_killed_at_it(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    run_role("worker", TASK_TIME_LIMIT="20", DJANGO_SETTINGS_MODULE="stubborn_settings").wait_ready()
    asked, killed = send("sleep", 60), send("stubborn")

    assert fails(redis_server, asked) == "SoftTimeLimitExceeded"
    assert fails(redis_server, killed) == "TimeLimitExceeded"
    after = send("add", 1, 2)
    wait_until(lambda: result(redis_server, after)["status"] == "SUCCESS", 20)
    wait_until(lambda: redis_server.client.hlen("unacked") == 0, 10)
