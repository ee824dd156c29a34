"""The API where a key of Redis holds something else than it should: the key is named, and the rest goes on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.machine import patience
from tests.roles.conftest import Redis, Role, free_port
from tests.roles.test_set_aside import store


@pytest.fixture
def call(run_role: Callable[..., Role]) -> Callable[..., Any]:
    """Call the API of a web role: its status and what it says."""
    bind = f"127.0.0.1:{free_port()}"
    run_role("web", WEB_BIND=bind, WEB_WORKERS="1").wait_ready()

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = requests.request(method, f"http://{bind}/api{path}", json=body, timeout=patience(10))
        return answer.status_code, answer.json() if answer.content else None

    return ask


def test_a_queue_of_a_schedule_is_one_that_is_known(call: Callable[..., Any], redis_server: Redis) -> None:
    every = {"task": "ping", "every": 60}
    for queue in ("unacked", "_kombu.binding.celery", "celery:3", "a,b", "a b", "", "nobody", "redbeat"):
        status, told = call("PUT", "/schedules/q", every | {"options": {"queue": queue}})
        assert (status, told["error"]["code"]) == (422, "invalid")
        assert told["error"]["message"].startswith(f"options.queue: {queue!r} ")
    assert (
        "It must be one of celery."
        in call("PUT", "/schedules/q", every | {"options": {"queue": "n"}})[1]["error"]["message"]
    )
    assert redis_server.client.keys("redbeat:*") == []

    redis_server.client.sadd("stack:queues", "nobody")  # as the worker did that was here last week
    assert call("PUT", "/schedules/q", every | {"options": {"queue": "nobody"}})[0] == 201
    assert call("PUT", "/schedules/q", {"options": {"queue": "celery"}})[0] == 200


def test_schedules_that_cannot_run_are_shown_with_their_reason(call: Callable[..., Any], redis_server: Redis) -> None:
    client = redis_server.client
    store(redis_server, "fits")
    store(redis_server, "old", options={"queue": "unacked"}, enabled=False)
    store(redis_server, "told")
    client.hset("redbeat::problems", "redbeat:told", "Redis says: no")
    client.rpush("redbeat:list", "x")
    client.hset("redbeat:text", "definition", "every day")
    client.zadd("redbeat::schedule", {"redbeat:list": 0, "redbeat:text": 0})

    status, schedules = call("GET", "/schedules")
    assert status == 200
    problems = {entry["name"]: entry["problem"] for entry in schedules}
    assert problems.pop("fits") is None
    assert problems.pop("told") == "Redis says: no"
    assert problems.pop("old").startswith("options.queue: 'unacked' is a key")
    assert problems.pop("list").startswith("The key 'redbeat:list' in Redis is a list, not a hash.")
    assert problems.pop("text").startswith("what the key 'redbeat:text' holds is no schedule: JSONDecodeError")

    # It can be switched off as it is, mended by a change, made anew where nothing can be read, and deleted.
    assert call("PUT", "/schedules/told", {"enabled": False})[1]["problem"] is None
    assert client.hlen("redbeat::problems") == 0
    assert call("PUT", "/schedules/old", {"options": {}, "enabled": True})[1]["problem"] is None
    assert call("PUT", "/schedules/list", {"task": "ping", "every": 5})[0] == 201
    assert call("DELETE", "/schedules/text")[0] == 204
    assert [entry["problem"] for entry in call("GET", "/schedules")[1]] == [None] * 4


def test_the_queues_are_told_beside_one_whose_key_is_no_list(call: Callable[..., Any], redis_server: Redis) -> None:
    client = redis_server.client
    store(redis_server, "q", options={"queue": "_kombu.binding.celery"}, enabled=False)
    store(redis_server, "m", options={"queue": "mail"})
    client.sadd("_kombu.binding.celery", "celery:celery")
    client.set("mail:6", "x")
    client.rpush("celery", "{}", "{}")

    status, told = call("GET", "/queues")
    assert (status, told["unacknowledged"], told["problem"]) == (200, 0, None)
    queues = {queue["name"]: queue for queue in told["queues"]}
    assert (queues["celery"]["waiting"], queues["celery"]["problem"]) == (2, None)
    assert queues["_kombu.binding.celery"]["problem"].startswith("The key '_kombu.binding.celery' in Redis is a set,")
    assert queues["mail"]["problem"].startswith("The key 'mail:6' in Redis is a string, not a list.")

    client.rpush("unacked", "x")
    status, told = call("GET", "/queues")
    assert status == 200
    assert told["problem"].startswith("The key 'unacked' in Redis is a list, not a hash.")


def test_a_broken_key_of_a_call_is_no_outage_and_named(call: Callable[..., Any], redis_server: Redis) -> None:
    client = redis_server.client
    client.rpush("stack:task:t", "x")
    client.hset("stack:task:r", "name", "ping")
    client.rpush("celery-task-meta-r", "x")
    client.rpush("stack:canvas:c", "x")
    client.set("celery", "x")
    for method, path, body, key in (
        ("GET", "/tasks/t", None, "stack:task:t"),
        ("GET", "/tasks/r", None, "celery-task-meta-r"),
        ("DELETE", "/tasks/t", None, "stack:task:t"),
        ("GET", "/canvas/c", None, "stack:canvas:c"),
        ("POST", "/tasks/ping", {}, "celery"),
        ("POST", "/canvas/group", {"tasks": [{"name": "ping"}]}, "celery"),
    ):
        status, told = call(method, path, body)
        assert (status, told["error"]["code"]) == (503, "broken_key"), (path, told)
        assert f"The key {key!r} in Redis is a " in told["error"]["message"]
        assert "does not answer" not in told["error"]["message"]
    client.set("redbeat::schedule", "x")
    assert "The key 'redbeat::schedule' in Redis is a string" in call("GET", "/schedules")[1]["error"]["message"]
    status, told = call("GET", "/queues")
    assert (status, told["problem"][:37]) == (200, "The key 'redbeat::schedule' in Redis ")


def test_a_note_that_no_worker_wrote_is_shown_as_such(call: Callable[..., Any], redis_server: Redis) -> None:
    for name, note in (("text", "x"), ("list", "[]"), ("short", json.dumps({"ready": True, "state": "ready"}))):
        redis_server.client.set(f"stack:worker:{name}", note)
        redis_server.client.sadd("stack:workers", name)
    status, workers = call("GET", "/workers")
    assert status == 200
    assert [(worker["name"], worker["ready"]) for worker in workers] == [
        ("list", False),
        ("short", False),
        ("text", False),
    ]
    assert all(f"'stack:worker:{worker['name']}' in Redis is not the note" in worker["state"] for worker in workers)
    assert call("GET", "/queues")[0] == 200
