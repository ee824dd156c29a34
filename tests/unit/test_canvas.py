"""Canvases before they are sent, and what a look at one reads."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from celery.app.routes import Router, prepare
from fakeredis import FakeRedis

from stack.state import canvas, records
from stack.state.plans import Pairs, plan_chunks, plan_map

add = pytest.importorskip("demo.tasks", reason="the tasks of app/demo are its examples").add
ITEMS = [[1, 2], [3, 4], [5, 6]]


@pytest.fixture(params=["option", "route"])
def task(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A task that goes to a queue of its own."""
    if request.param == "option":
        monkeypatch.setattr(add, "queue", "reports", raising=False)
    else:
        amqp = current_app.amqp
        monkeypatch.setattr(amqp, "router", Router(prepare({"add": {"queue": "reports"}}), amqp.queues, True))
    return add


def test_a_map_a_starmap_and_chunks_go_to_the_queue_of_their_task(task: Any) -> None:
    plans = [plan_map("map", task, ITEMS), plan_map("starmap", task, ITEMS), plan_chunks(task, ITEMS, 2)]
    for plan in plans:
        assert {signature.options.get("queue") for signature in plan.signatures} == {"reports"}, plan.kind


def test_chunks_of_a_range_are_made_one_by_one() -> None:
    pairs = Pairs(range(5, 9))
    assert (len(pairs), pairs[0], pairs[-1], pairs[1:3]) == (4, (5, 5), (8, 8), [(6, 6), (7, 7)])


class Looks:
    """Stands for the records in Redis: which members are done, and what was read."""

    def __init__(self, client: FakeRedis):
        self.client, self.done, self.read = client, set[str](), list[list[str]]()

    def read_many(self, task_ids: list[str]) -> list[dict[str, Any]]:
        self.read.append(task_ids)
        return [self.state(task_id) for task_id in task_ids]

    def state(self, task_id: str) -> dict[str, Any]:
        done = task_id in self.done
        return {"id": task_id, "state": "SUCCESS" if done else "PENDING", "ready": done, "successful": done} | {
            "result": [task_id] if done else None,
            "error": None,
        }


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Looks]:
    looks = Looks(FakeRedis(decode_responses=True))
    monkeypatch.setattr(canvas, "client", lambda: looks.client)
    monkeypatch.setattr(records, "read_many", looks.read_many)
    yield looks
    looks.client.close()


def test_a_member_that_succeeded_is_not_read_again_before_the_end(looks: Looks) -> None:
    plan = plan_chunks(add, ITEMS, 1)
    plan.signatures = []
    canvas.record(plan)
    first, second, third = plan.members

    looks.done = {first}
    states = [canvas.read(plan.id), canvas.read(plan.id)]
    looks.done = {first, second, third}
    states.append(canvas.read(plan.id))

    assert [state and state["completed"] for state in states] == [1, 1, 3]
    assert (states[2] or {})["result"] == [first, second, third]
    assert looks.read == [[first, second, third], [second, third], [second, third], [first, second, third]]
    assert 0 < looks.client.ttl(f"stack:canvas-done:{plan.id}") <= 86400
    assert 0 < looks.client.ttl(f"stack:canvas:{plan.id}") <= 86400


@pytest.mark.parametrize(
    ("kind", "over", "failed", "ready"),
    [
        ("chain", [True, False, False], None, False),
        ("chain", [True, True, True], None, True),
        ("chain", [False, True], None, True),
        ("chord", [False, True, True], None, True),
        ("chain", [True, True, False], 1, True),
        ("chain", [False, True, True], 1, False),
        ("chord", [True, True, False], None, False),
        ("chord", [True, True, False], 0, True),
        ("chord", [False, True, True], 2, False),
        ("chord", [True, True, True], 2, True),
        ("group", [True, False, True], 0, False),
    ],
)
def test_a_canvas_is_ready_when_nothing_of_it_runs_or_will_run(
    kind: str, over: list[bool], failed: int | None, ready: bool
) -> None:
    assert canvas._is_ready(kind, over, failed) is ready
