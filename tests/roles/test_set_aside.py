"""One schedule that cannot be sent, one key that is broken: it is said, and nothing else stands still."""

import json
from collections.abc import Callable
from typing import Any

from tests.roles.conftest import Redis, Role
from tests.waiting import stays, wait_until

SET, PROBLEMS = "redbeat::schedule", "redbeat::problems"


def store(server: Redis, name: str, **fields: Any) -> None:
    """Put a schedule into Redis as an older version did, which took any queue."""
    entry = {"name": name, "task": "ping", "args": [], "kwargs": {}, "options": {}, "enabled": True}
    entry["schedule"] = {"__type__": "interval", "every": 1.0, "relative": False}
    server.client.hset(f"redbeat:{name}", "definition", json.dumps(entry | fields))
    server.client.zadd(SET, {f"redbeat:{name}": 0})


def runs(server: Redis, name: str) -> int:
    meta = server.client.hget(f"redbeat:{name}", "meta")
    return int(json.loads(meta).get("total_run_count") or 0) if meta else 0


def test_schedules_that_cannot_be_sent_hold_back_no_other(run_role: Callable[..., Role], redis_server: Redis) -> None:
    client = redis_server.client
    client.sadd("stack:queues", "reports", "mail")
    client.set("mail", "no list")
    client.sadd("_kombu.binding.celery", "celery:celery")
    wrong = {
        "binding": "is a key that Celery, beat or the stack keeps",
        "unknown": "'nobody' is no queue of this project",
        "mail": "The key 'mail' in Redis is a string, not a list",
        "arguments": "missing 1 required positional argument",
        "list": "The key 'redbeat:list' in Redis is a list, not a hash",
        "text": "what the key 'redbeat:text' holds is no schedule: JSONDecodeError",
        "meta": "what the key 'redbeat:meta' holds is no schedule",
    }
    store(redis_server, "fits", options={"queue": "reports"})
    store(redis_server, "binding", options={"queue": "_kombu.binding.celery"})
    store(redis_server, "unknown", options={"queue": "nobody"})
    store(redis_server, "mail", options={"queue": "mail"})
    store(redis_server, "arguments", task="add", args=[1])
    store(redis_server, "meta")
    client.hset("redbeat:meta", "meta", json.dumps({"last_run_at": "yesterday"}))
    client.hset("redbeat:text", "definition", "every day")
    client.rpush("redbeat:list", "x")
    client.zadd(SET, {"redbeat:text": 0, "redbeat:list": 0})

    beat = run_role("beat").wait_ready()

    def all_told() -> bool:
        told = client.hgetall(PROBLEMS)
        assert told.keys() == {f"redbeat:{name}" for name in wrong}
        return all(text in told[f"redbeat:{name}"] for name, text in wrong.items()) or told

    assert wait_until(all_told, 20) is True
    before = runs(redis_server, "fits")
    wait_until(lambda: runs(redis_server, "fits") >= before + 3, 20)
    assert beat.check(ready=True) is None
    # What was not sent does not count as a run, and comes when the fault is mended.
    assert [name for name in ("binding", "unknown", "mail", "arguments") if runs(redis_server, name)] == []
    log = beat.log.read_text()
    assert [name for name in wrong if log.count(f"beat: {name} cannot be sent and is set aside") != 1] == []
    assert log.count("took the lock") == 1
    assert client.type("_kombu.binding.celery") == "set"

    # An edit is tried at once, and a deletion is the end of it.
    client.delete("mail")
    store(redis_server, "mail", options={"queue": "mail", "priority": 0})
    client.zrem(SET, "redbeat:binding")
    client.delete("redbeat:binding")
    wait_until(lambda: client.llen("mail") >= 1 and not client.hexists(PROBLEMS, "redbeat:mail"), 10)


def test_a_broken_key_of_beats_own_is_named_by_its_health_check(
    run_role: Callable[..., Role], redis_server: Redis
) -> None:
    beat, client = run_role("beat").wait_ready(), redis_server.client
    client.rename(SET, "kept")
    client.set(SET, "no set")

    def told(key: str) -> bool:
        reason = beat.check(ready=True)
        return reason is not None and f"The key '{key}' in Redis" in reason

    wait_until(lambda: told(SET), 10)
    # Nor does it stand by for ten seconds, until its lock is over, as if another beat ticked.
    stays(lambda: told(SET), 3)
    assert beat.check() is None
    client.rename("kept", SET)
    beat.wait_ready()

    beat.process.terminate()
    assert beat.process.wait(15) == 0
    client.rpush("redbeat::lock", "x")
    beat = run_role("beat")
    wait_until(lambda: told("redbeat::lock"), 30)
    client.delete("redbeat::lock")
    beat.wait_ready()


def test_a_task_is_not_lost_to_a_broken_key_of_the_transport(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker, client = run_role("worker", WORKER_POOL="threads").wait_ready(), redis_server.client
    client.rpush("unacked", "x")
    task = send("add", 1, 2)
    wait_until(lambda: "cannot note the tasks that it takes" in (worker.check(ready=True) or ""), 10)
    assert worker.check() is None

    client.delete("unacked")

    result = wait_until(lambda: client.get(f"celery-task-meta-{task}"), 20)
    assert json.loads(result)["result"] == 3
    worker.wait_ready()
