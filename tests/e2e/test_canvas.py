"""Group, chain, chord, map, starmap and chunks, each with its progress by id."""

from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.targets import Operated
from tests.waiting import wait_until


def task(name: str, *args: Any) -> dict[str, Any]:
    return {"name": name, "args": list(args)}


def send(api: Client, kind: str, **body: Any) -> str:
    answer = api.call("POST", f"/api/canvas/{kind}", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["kind"] == kind
    assert answer.headers["Location"] == answer.json()["url"]
    return str(answer.json()["url"])


def result(api: Client, url: str, within: float = 60) -> dict[str, Any]:
    def ready() -> dict[str, Any]:
        state = api.get(f"{url}?wait=20").json()
        return dict(state) if state["ready"] else {}

    return wait_until(ready, within)


@pytest.mark.runtime
@pytest.mark.parametrize(
    ("kind", "body", "total", "expected"),
    [
        ("group", {"tasks": [task("add", i, i) for i in range(10)]}, 10, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]),
        ("chain", {"tasks": [task("add", 2, 2), task("add", 5), task("mul", 8)]}, 3, 72),
        ("chord", {"header": [task("add", 1, 2), task("mul", 3, 4)], "body": task("xsum")}, 3, 15),
        ("map", {"name": "xsum", "items": [[1, 2], [3, 4]]}, 2, [3, 7]),
        ("starmap", {"name": "add", "items": [[1, 2], [3, 4]]}, 2, [3, 7]),
        ("chunks", {"name": "add", "items": [[i, i] for i in range(25)], "size": 10}, 25, [2 * i for i in range(25)]),
        ("chunks", {"name": "add", "range": [5, 9], "size": 3}, 4, [10, 12, 14, 16]),
    ],
)
def test_the_tutorials_canvases_give_its_results(
    api: Client, kind: str, body: dict[str, Any], total: int, expected: Any
) -> None:
    state = result(api, send(api, kind, **body))
    assert (state["state"], state["successful"], state["error"]) == ("SUCCESS", True, None)
    assert (state["completed"], state["total"]) == (total, total)
    assert state["result"] == expected


def test_a_groups_progress_is_seen_while_it_runs(api: Client) -> None:
    url = send(api, "group", tasks=[task("sleep", 1) for _ in range(12)])
    wait_until(lambda: 0 < api.get(url).json()["completed"] < 12, 20, every=0.2)
    assert result(api, url)["completed"] == 12


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("group", {"tasks": [task("add", 1, 1), task("fail", "broken")]}, "broken"),
        ("chain", {"tasks": [task("fail", "broken"), task("add", 1)]}, "broken"),
        ("chord", {"header": [task("add", 1, 2), task("fail", "broken")], "body": task("xsum")}, "broken"),
        ("chord", {"header": [task("add", 1, 2)], "body": task("fail")}, "message: Input should be a valid string"),
        ("map", {"name": "fail", "items": ["broken", "too late"]}, "broken"),
        ("starmap", {"name": "fail", "items": [["broken"], ["too late"]]}, "broken"),
        ("chunks", {"name": "fail", "items": [["broken"], ["too late"]], "size": 1}, "broken"),
    ],
)
def test_a_members_error_is_told_with_its_id(api: Client, kind: str, body: dict[str, Any], message: str) -> None:
    state = result(api, send(api, kind, **body))
    assert (state["state"], state["successful"]) == ("FAILURE", False)
    assert state["error"]["message"] == message
    assert state["error"]["id"] in state["members"]
    assert api.get(f"/api/tasks/{state['error']['id']}").json()["state"] == "FAILURE"


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("group", {"tasks": []}, "tasks"),
        ("group", {"tasks": [task("add", 1)]}, "tasks.0: y"),
        ("group", {"tasks": [task("os.system", "ls")]}, "tasks.0"),
        ("group", {"tasks": [task("ping")] * 1001}, "tasks: "),
        ("chain", {"tasks": [task("ping")] * 1001}, "tasks: "),
        ("chord", {"header": [task("ping")] * 1001, "body": task("xsum")}, "header: "),
        ("map", {"name": "ping", "items": [1] * 100_001}, "items: "),
        ("chunks", {"name": "add", "items": [[1, 1]] * 1001, "size": 1}, "size: "),
        ("chunks", {"name": "add", "range": [0, 1_000_001], "size": 1001}, "range: "),
        ("chunks", {"name": "add", "range": [0, 1], "size": 100_001}, "size: "),
        ("chunks", {"name": "add", "range": [2**53 - 1, 2**53 + 2]}, "range: "),
        ("chunks", {"name": "add", "range": [-(2**53) - 1, 0]}, "range: "),
        ("map", {"name": "xsum", "items": [[1]], "queue": "other"}, "queue: "),
        ("group", {"tasks": [{"name": "add", "args": [1, 1], "countdown": 5}]}, "tasks.0.countdown: "),
        ("chord", {"header": [task("add", 1, 1)]}, "body"),
        ("map", {"name": "xsum"}, "items"),
        ("starmap", {"name": "add", "items": [[1, 2], [3]]}, "items.1: y"),
        ("starmap", {"name": "add", "items": [5]}, "items.0"),
        ("chunks", {"name": "add", "range": [5, 1]}, "range"),
        ("chain", {"tasks": [task("add", 1, 2), {"name": "add", "kwargs": {"self": 1}}]}, "tasks.1: y"),
        ("chain", {"tasks": [task("add", 1, 2), task("add", 1, 2)]}, "tasks.1: add takes at most 1 arguments (y)"),
        ("chain", {"tasks": [task("add", 1, 2), task("ping")]}, "tasks.1: ping takes no argument"),
        ("chord", {"header": [task("ping")], "body": {"name": "add", "kwargs": {"x": 1, "y": 2}}}, "body: x: given"),
        ("chord", {"header": [task("ping")], "body": {"name": "xsum", "kwargs": {"self": 1}}}, "body: self"),
        ("chunks", {"name": "sleep", "range": [1, 5]}, "at most 1 arguments"),
        ("chunks", {"name": "add", "range": [0, 100000], "size": 1}, "size"),
        ("map", {"name": "group_task", "items": [5, 6]}, "group_task is bound to its request"),
        ("starmap", {"name": "flaky", "items": [[1]]}, "flaky is bound to its request"),
        ("chunks", {"name": "summarize", "items": [["seattle-weather"]]}, "summarize is bound to its request"),
        ("square", {"tasks": [task("ping")]}, "canvas"),
    ],
)
def test_a_canvas_that_cannot_be_sent_says_why(api: Client, kind: str, body: dict[str, Any], told: str) -> None:
    answer = api.call("POST", f"/api/canvas/{kind}", json=body)
    assert answer.status_code == 422
    assert told in answer.json()["error"]["message"]
    assert not answer.json()["error"]["message"].startswith("body.")


@pytest.mark.slow
def test_a_group_of_as_many_tasks_as_are_allowed_is_taken(api: Client) -> None:
    state = result(api, send(api, "group", tasks=[task("ping")] * 1000))
    assert (state["completed"], state["total"], state["result"]) == (1000, 1000, ["pong"] * 1000)


def test_an_unknown_canvas_is_404(api: Client) -> None:
    for answer in (api.get("/api/canvas/no-such-id"), api.call("DELETE", "/api/canvas/no-such-id")):
        assert answer.status_code == 404


def test_fifty_tasks_that_wait_for_a_group_finish_on_two_slots(api: Client) -> None:
    urls = [api.post("group_task", {"args": [5]}).json()["url"] for _ in range(50)]
    for url in urls:
        assert result(api, url)["result"] == 20


@pytest.mark.slow
def test_chunks_take_100000_calls_in_a_request_of_a_few_bytes(api: Client) -> None:
    state = result(api, send(api, "chunks", name="add", range=[0, 100_000], size=1000), within=120)
    assert (state["completed"], state["total"], state["result"]) == (100_000, 100_000, None)
    last = api.get(f"/api/tasks/{state['members'][-1]}").json()["result"]
    assert (len(last), last[-1]) == (1000, 199_998)


def test_a_group_can_be_waited_for_from_a_shell_as_the_tutorial_does(operated: Operated) -> None:
    code = "from celery import group; from demo.tasks import add; calls = [add.s(i, i) for i in range(4)]; "
    code += "print(group(calls)().get(timeout=20))"
    assert "[0, 2, 4, 6]" in operated.manage("shell", "-c", code)


def test_a_canvas_its_tasks_and_their_results_expire(operated: Operated, api: Client) -> None:
    state = result(api, send(api, "chord", header=[task("add", 1, 2), task("mul", 3, 4)], body=task("xsum")))
    keys = [f"stack:canvas:{state['id']}", *(f"stack:task:{member}" for member in state["members"])]
    keys += [f"celery-task-meta-{member}" for member in state["members"]]
    with operated.redis() as admin:
        left = {key: admin.ttl(key) for key in keys}
    assert all(0 < seconds <= 86400 for seconds in left.values()), left
