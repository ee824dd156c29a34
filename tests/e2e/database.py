"""What a stack with a database promises while that is away, on any runtime that has one."""

import time
from collections.abc import Callable
from typing import Any

import requests

from tests.e2e.client import Client
from tests.waiting import wait_until

AWAY = "takes no tasks: the database 'default' is away"


def tasks_outlive_the_database(
    stack: Any, api: Client, seconds: float = 10, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Stop the database, send 20 tasks that read it, start it again: all succeed, and none is tried again.

    Args:
        stack: a target with a role `db`.
        seconds: that the database is away with the tasks in their queue.
        meanwhile: done every second of them.
    """
    csv = {"file": ("a.csv", "a,b\n1,2\n")}
    headers = {"Authorization": f"Bearer {stack.api_token}"} if stack.api_token else {}
    uploaded = requests.post(f"{stack.base_url}/api/datasets", files=csv, headers=headers, timeout=20)
    assert uploaded.status_code == 201, uploaded.text
    before = stack.lives()
    stack.stop("db")
    try:
        tasks = [api.submit("summarize", uploaded.json()["id"]) for _ in range(20)]
        wait_until(lambda: any(AWAY in worker["state"] for worker in api.get("/api/workers").json()), 60)
        assert any(not worker["ready"] for worker in api.get("/api/workers").json())
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            states = [api.state(task) for task in tasks]
            assert {state["state"] for state in states} <= {"PENDING", "STARTED"}, states
            meanwhile()
            time.sleep(1)
        wait_until(lambda: {api.state(task)["state"] for task in tasks} == {"PENDING"}, 20)
    finally:
        stack.start("db")
    done = [api.done(task, within=90) for task in tasks]
    assert [each["state"] for each in done] == ["SUCCESS"] * 20
    assert {each["retries"] for each in done} == {0}
    wait_until(lambda: all(worker["ready"] for worker in api.get("/api/workers").json()), 30)
    assert stack.lives() == before  # nobody was restarted
