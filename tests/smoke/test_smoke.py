"""What proves a running stack and disturbs nobody: it sends `ping`, reads, and deletes what it made."""

import uuid
from typing import Any

from tests.e2e.client import Client

PING = {"name": "ping", "args": []}


def waiting(api: Client) -> Any:
    """What a task of ours may wait for: told under a failure."""
    return api.get("/api/queues").json()


def test_the_stack_is_alive_and_ready_and_says_its_version(api: Client) -> None:
    assert api.get("/livez").status_code == 200
    ready = api.get("/readyz")
    assert ready.status_code == 200, ready.text
    assert set(api.get("/version").json()) == {"name", "version", "commit"}


def test_a_task_goes_through_redis_and_a_worker_and_back(api: Client) -> None:
    done = api.state(api.submit("ping"), wait=20)

    assert (done["state"], done["result"]) == ("SUCCESS", "pong"), (done, waiting(api))
    assert done["queued_at"] <= done["started_at"] <= done["done_at"]


def test_a_group_gives_the_result_of_each_member(api: Client) -> None:
    answer = api.call("POST", "/api/canvas/group", json={"tasks": [PING] * 3})
    assert answer.status_code == 202, answer.text

    done = api.get(answer.json()["url"], params={"wait": 20}).json()

    assert (done["state"], done["completed"], done["result"]) == ("SUCCESS", 3, ["pong"] * 3), (done, waiting(api))


def test_a_delayed_task_that_is_revoked_never_starts(api: Client) -> None:
    task_id = api.submit("ping", countdown=300)

    assert api.call("DELETE", f"/api/tasks/{task_id}").status_code == 202

    revoked = api.state(task_id)
    assert (revoked["state"], revoked["started_at"]) == ("REVOKED", None)


def test_what_nobody_knows_is_a_404_that_says_so(api: Client) -> None:
    api.error(api.get(f"/api/tasks/{uuid.uuid4()}"), 404)
    assert "no-such-task" in api.error(api.post("no-such-task", {}), 404)


def test_a_schedule_is_made_switched_off_and_deleted(api: Client) -> None:
    path = f"/api/schedules/smoke-{uuid.uuid4()}"
    try:
        made = api.call("PUT", path, json={"task": "ping", "every": 86400, "enabled": False})
        assert made.status_code == 201, made.text
        assert made.json()["next_run_at"] is None
    finally:
        deleted = api.call("DELETE", path)
    assert deleted.status_code == 204, deleted.text


def test_every_queue_that_holds_tasks_has_a_worker(api: Client) -> None:
    workers = api.get("/api/workers").json()
    queues = api.get("/api/queues").json()["queues"]

    assert [worker["name"] for worker in workers if worker["ready"]], workers
    assert [queue for queue in queues if queue["waiting"] and not queue["workers"]] == []
