"""What a canvas hands on is checked before the next task starts; what a project's own code sends is its own affair."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.roles.conftest import Redis, Role, free_port
from tests.waiting import wait_until

SETTINGS = {"DJANGO_SETTINGS_MODULE": "handed_settings", "DATABASE_URL": "sqlite://:memory:"}


def task(name: str, *args: Any) -> dict[str, Any]:
    return {"name": name, "args": list(args)}


@pytest.fixture
def api(run_role: Callable[..., Role]) -> Client:
    """The API over a worker and tasks of this module's own."""
    bind = f"127.0.0.1:{free_port()}"
    run_role("worker", WORKER_CONCURRENCY="1", **SETTINGS)
    run_role("web", WEB_BIND=bind, WEB_WORKERS="1", **SETTINGS).wait_ready()
    return Client(f"http://{bind}")


def ended(api: Client, path: str) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        state = api.get(f"{path}?wait=10").json()
        assert state["ready"], state
        return dict(state)

    return wait_until(look, 40) or {}


def test_what_is_handed_on_is_checked_before_the_start(
    api: Client, send: Callable[..., str], redis_server: Any
) -> None:
    def canvas(kind: str, **body: Any) -> dict[str, Any]:
        answer = api.call("POST", f"/api/canvas/{kind}", json=body)
        assert answer.status_code == 202, answer.text
        return ended(api, answer.json()["url"])

    fits = [
        (canvas("chain", tasks=[task("add", 500, 0), task("small"), task("small")]), 500),
        (canvas("chord", header=[task("word", "a"), task("word", "b")], body=task("labels")), 2),
        (canvas("group", tasks=[task("small", 1), task("small", 2)]), [1, 2]),
        (canvas("starmap", name="small", items=[[1], [2]]), [1, 2]),
        (canvas("chunks", name="small", items=[[1], [2], [3]], size=2), [1, 2, 3]),
    ]
    assert [state["result"] for state, _ in fits] == [result for _, result in fits]

    for state, message in (
        (canvas("chain", tasks=[task("add", 1500, 0), task("small"), task("small")]), "number: Input should be less"),
        (canvas("chord", header=[task("word", "A"), task("word", "b")], body=task("labels")), "names.0: String should"),
        (canvas("chain", tasks=[task("word", "x"), task("small")]), "number: Input should be a valid integer"),
    ):
        assert (state["state"], state["error"]["type"]) == ("FAILURE", "Misfit"), state
        assert message in state["error"]["message"]
        failed = api.state(state["error"]["id"])
        assert (failed["state"], failed["retries"], failed["started_at"]) == ("FAILURE", 0, None)

    # A worker pickles arguments for its pool, and died of those nested 480 deep, over and over as they came back.
    nested = [json.loads("[" * depth + "]" * depth) for depth in (90, 480)]
    assert canvas("chain", tasks=[task("word", "x"), task("anything"), task("anything", nested[0])])["successful"]
    assert "nested" in api.error(api.post("anything", {"args": [nested[1]]}), 422)
    # A retry keeps what it was called with, and that it came by the API; other arguments are the task's own.
    assert api.run("again", 1)["result"] is True
    assert api.run("other", 1)["result"] == "text"
    # The project's own calls go by a hint only where the task says so.
    assert api.done(send("small", 5000))["result"] == 5000
    assert api.done(send("exact", 5))["result"] == 5
    assert api.done(send("exact", "5x"))["error"]["type"] == "Misfit"
    # One that was started before, by a version with another limit, runs when it is delivered again.
    marked, task_id = {"stack_from_api": True}, str(uuid.uuid4())
    assert api.done(send("small", 5000, headers=marked))["error"]["type"] == "Misfit"
    redis_server.client.hset(f"stack:task:{task_id}", "claim", "started")
    assert api.done(send("small", 5000, headers=marked, task_id=task_id))["result"] == 5000


def test_the_api_leaves_room_in_redis_and_says_so(run_role: Callable[..., Role], redis_server: Redis) -> None:
    bind, server = f"127.0.0.1:{free_port()}", redis_server.client
    run_role("web", WEB_BIND=bind, WEB_WORKERS="1", **SETTINGS).wait_ready()
    api, large = Client(f"http://{bind}"), {"args": [[9_007_199_254_740_991] * 55_000]}
    server.config_set("maxmemory", 40 << 20)

    # All at once: what one of them is about to send counts for the others, though Redis does not know it yet.
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.post("xsum", large), range(8)))
        while {answer.status_code for answer in answers} == {202}:
            assert len(answers) < 100
            answers += pool.map(lambda _: api.post("xsum", large), range(8))

    taken = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert len(taken) > 5
    assert refused
    for answer in refused:
        assert "nearly full" in api.error(answer, 503)
        assert (answer.json()["error"]["code"], answer.headers["Retry-After"]) == ("redis_full", "5")
    assert server.info("memory")["used_memory"] < 0.9 * (40 << 20)
    # What the connections held is free again soon, and might be room for one more: so nothing has any now.
    server.config_set("maxmemory", 1 << 20)
    wait_until(lambda: "nearly full" in api.post("add", {"args": [1, 2]}).text, 5)
    canvas = {"name": "add", "range": [0, 1_000_000], "size": 1000}
    schedule = {"task": "xsum", "args": large["args"], "every": 5}
    for method, path, body in (("POST", "/api/canvas/chunks", canvas), ("PUT", "/api/schedules/x", schedule)):
        assert "nearly full" in api.error(api.call(method, path, json=body), 503)
    server.config_set("maxmemory", 40 << 20)
    # What was taken can still be seen and revoked.
    assert api.state(taken[0].json()["id"])["state"] == "PENDING"
    assert api.call("DELETE", taken[0].json()["url"]).status_code == 202

    server.config_set("maxmemory", 0)
    wait_until(lambda: api.post("add", {"args": [1, 2]}).status_code == 202, 5)
    server.replicaof("127.0.0.1", "1")
    replica = api.post("add", {"args": [1, 2]})
    assert "replica" in api.error(replica, 503)
    assert replica.json()["error"]["code"] == "redis_refused"
