"""GET /api/workers and GET /api/queues: who works and what waits, told at once and without asking the workers."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.conftest import Stopped
from tests.e2e.targets import Target
from tests.waiting import wait_until


def workers(api: Client) -> list[dict[str, Any]]:
    answer = api.get("/api/workers")
    assert answer.status_code == 200, answer.text
    return [dict(worker) for worker in answer.json()]


def queues(api: Client) -> dict[str, Any]:
    answer = api.get("/api/queues")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def default_queue(api: Client) -> dict[str, Any]:
    return next(queue for queue in queues(api)["queues"] if queue["name"] == "celery")


@pytest.fixture(autouse=True, scope="module")
def one_worker(stack: Target) -> Iterator[None]:
    """A cluster's stack starts with two."""
    api = Client(stack.base_url, stack.api_token)
    count = wait_until(lambda: len(workers(api)), 20)
    if count > 1:
        stack.scale("worker", 1)
    yield
    if count > 1:
        stack.scale("worker", count)


def all_idle(api: Client) -> bool:
    seen = workers(api)
    return bool(seen) and all(worker["ready"] and not worker["active"] for worker in seen)


@pytest.mark.runtime
def test_a_worker_tells_what_it_is_and_what_it_does(api: Client) -> None:
    wait_until(lambda: all_idle(api), 30)
    (worker,) = workers(api)
    assert worker["name"].startswith("worker@")
    assert (worker["state"], worker["pool"], worker["concurrency"]) == ("ready", "prefork", 2)
    assert worker["queues"] == ["celery"]

    task_id = api.submit("sleep", 6)

    wait_until(lambda: workers(api)[0]["active"] == 1, 10)
    api.done(task_id, within=20)
    wait_until(lambda: workers(api)[0]["active"] == 0, 10)


@pytest.mark.runtime
def test_a_stopped_worker_is_gone_at_once_and_a_started_one_is_there(api: Client, stopped: Stopped) -> None:
    wait_until(lambda: workers(api), 20)
    before = workers(api)[0]["since"]

    with stopped("worker"):
        assert workers(api) == []
        assert default_queue(api)["workers"] == 0

    wait_until(lambda: all_idle(api), 10)
    assert workers(api)[0]["since"] > before
    assert default_queue(api)["workers"] == 1


@pytest.mark.chaos
def test_a_worker_that_is_gone_without_a_word_is_not_shown_for_long(api: Client, stack: Target) -> None:
    """Frozen and not killed: a killed one is started again under the same name."""
    wait_until(lambda: all_idle(api), 20)
    stack.signal("worker", "STOP")
    try:
        wait_until(lambda: not workers(api), 20)
    finally:
        stack.signal("worker", "CONT")
    wait_until(lambda: all_idle(api), 20)


@pytest.mark.runtime
@pytest.mark.chaos
def test_a_killed_worker_is_replaced_by_its_successor(api: Client, stack: Target) -> None:
    wait_until(lambda: all_idle(api), 20)
    before = workers(api)[0]["since"]

    stack.signal("worker", "KILL")

    wait_until(lambda: [worker["since"] for worker in workers(api) if worker["since"] > before], 40)
    wait_until(lambda: len(workers(api)) == 1, 20)
    wait_until(lambda: stack.check("worker", ready=True) is None, 20)


def test_a_queues_length_counts_every_priority(api: Client, stopped: Stopped) -> None:
    with stopped("worker"):
        before = default_queue(api)["waiting"]
        ids = [api.submit("add", 1, 1, priority=priority) for priority in range(10)]
        # Beat may send one or two meanwhile.
        assert before + 10 <= default_queue(api)["waiting"] <= before + 12

    for task_id in ids:
        api.done(task_id, within=30)
    wait_until(lambda: default_queue(api)["waiting"] == 0, 20)


def test_what_workers_hold_is_counted_until_it_is_done(api: Client) -> None:
    wait_until(lambda: all_idle(api), 20)
    wait_until(lambda: queues(api)["unacknowledged"] == 0, 20)

    delayed = api.submit("add", 1, 1, countdown=30)

    wait_until(lambda: queues(api)["unacknowledged"] == 1, 10)
    wait_until(lambda: workers(api)[0]["delayed"] == 1, 10)
    assert api.call("DELETE", f"/api/tasks/{delayed}").status_code == 202
