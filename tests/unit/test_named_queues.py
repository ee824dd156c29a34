"""Which queues a project names, in each way that Celery knows, and which of them a worker takes."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue
from kombu.common import Broadcast

from stack.runtime.fitting import contradictions
from stack.runtime.roles import argv
from stack.state import queues
from stack.worker.queues import take

# Celery 5.7 says so of `queue` as an option of a task, and goes on to obey it.
pytestmark = pytest.mark.filterwarnings("ignore:\\n? *The 'queue' task attribute is deprecated")


class Router:
    """As Celery knew them before 4.0."""

    def route_for_task(self, name: str, args: Any = None, kwargs: Any = None) -> dict[str, str] | None:
        return {"queue": "by-class"} if name == "plain" else None


def by_argument(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> dict[str, str]:
    return {"queue": f"region-{args[0]}"}


def by_task(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> str | None:
    return getattr(task, "department", None)


def nothing() -> None:
    """What each task does."""


def project(**conf: Any) -> Celery:
    app = Celery("shop", set_as_current=False)
    app.conf.update(conf)
    app.task(name="plain", shared=False)(nothing)  # shared, it would be in each app of the other tests
    app.task(name="own", shared=False, queue="own", department="accounts")(nothing)
    return app


@pytest.mark.parametrize(
    ("conf", "named"),
    [
        ({}, set()),
        ({"task_default_queue": "main"}, {"main"}),
        ({"task_queues": [Queue("media"), Broadcast("everyone")]}, {"media"}),
        ({"task_queues": {"media": {"exchange": "media"}}}, {"media"}),
        (
            {"task_routes": {"a.*": {"queue": "a"}, "b": "b", "c": {"queue": Queue("c")}, "d": {"priority": 3}}},
            set("abc"),
        ),
        ({"task_routes": ([(re.compile("x.*"), [("queue", "x")])], {"y": "y"})}, {"x", "y"}),
        ({"task_routes": [Router(), by_argument, by_task]}, {"by-class", "accounts"}),
        ({"task_routes": f"{__name__}.by_task"}, {"accounts"}),
        ({"beat_schedule": {"e": {"task": "plain", "schedule": 60, "options": {"queue": "nightly"}}}}, {"nightly"}),
    ],
)
def test_each_queue_that_the_project_names_is_found(conf: dict[str, Any], named: set[str]) -> None:
    default = conf.get("task_default_queue", "celery")
    assert set(queues.named(project(**conf))) == named | {default, "own"}


def taken(app: Celery, monkeypatch: pytest.MonkeyPatch, wanted: str = "") -> dict[str, Queue]:
    monkeypatch.setenv("WORKER_QUEUES", wanted)
    take(instance=SimpleNamespace(app=app))
    return dict(app.amqp.queues.consume_from)


def test_a_worker_binds_each_queue_as_the_sender_does(monkeypatch: pytest.MonkeyPatch) -> None:
    media = Queue(
        "media", Exchange("media", type="topic"), routing_key="media.#", queue_arguments={"x-max-priority": 9}
    )
    routes = {
        "a": {"queue": "media", "routing_key": "media.a"},
        "b": "emails",
        "c": {"queue": Queue("c", routing_key="k")},
    }
    app = project(task_queues=[media], task_routes=routes, task_queue_max_priority=5)
    app.amqp.queues.select_add("added-by-the-project")  # as its own receiver of the signal would

    found = taken(app, monkeypatch)

    assert set(found) == {"celery", "own", "media", "emails", "c", "added-by-the-project"}
    assert (found["media"].exchange.type, found["media"].routing_key) == ("topic", "media.#")
    assert found["media"].queue_arguments == {"x-max-priority": 9}
    assert (found["emails"].exchange.name, found["emails"].routing_key) == ("emails", "emails")
    assert found["c"].routing_key == "k"
    for name in ("own", "emails", "celery"):
        assert app.amqp.router.route({"queue": name}, "plain")["queue"] is found[name]


def test_what_a_minus_names_is_left_out_and_what_q_gave_stays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert set(taken(project(task_routes={"b": "emails"}), monkeypatch, "-emails,-other")) == {"celery", "own"}
    given = project(task_routes={"b": "emails"})
    given.amqp.queues.select(["emails"])
    assert set(taken(given, monkeypatch, "emails")) == {"emails"}
    assert taken(project(), monkeypatch, "-celery,-own") == {}
    assert "leaves out every queue" in caplog.text


def test_a_queue_that_cannot_be_made_is_named_and_the_others_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = project(task_queues=[Queue("celery"), Queue("own")], task_routes={"b": "x"}, task_create_missing_queues=False)
    assert set(taken(app, monkeypatch)) == {"celery", "own"}
    assert "the project routes tasks to the queue 'x', which task_queues does not have" in caplog.text


def test_worker_queues_is_an_argument_only_where_it_names_what_to_take() -> None:
    assert "-Q" not in argv("worker", {})
    assert "-Q" not in argv("worker", {"WORKER_QUEUES": "-emails"})
    assert contradictions({"WORKER_QUEUES": "-emails,-video"}) == []
    (told,) = contradictions({"WORKER_QUEUES": "-emails,video"})
    assert told.startswith("WORKER_QUEUES=-emails,video names queues to take and, with `-`, queues to leave out")
    (told,) = contradictions({"WORKER_QUEUES": "-unacked"})
    assert told.startswith("WORKER_QUEUES names 'unacked', which is a key")
