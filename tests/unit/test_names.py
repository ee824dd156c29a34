"""Which names a queue may have, and that those of the libraries are the ones that are written down."""

import pytest
from celery import current_app
from celery.backends.base import BaseKeyValueStoreBackend as Backend
from celery.utils.collections import AttributeDict
from kombu import Queue
from kombu.pidbox import Mailbox
from kombu.transport.redis import Channel
from redbeat.schedulers import RedBeatConfig

from stack.beat import aside
from stack.broker.by_role import TRANSPORTS
from stack.broker.routing import ReservedQueue
from stack.celery import app
from stack.runtime import names
from stack.runtime.fitting import contradictions
from stack.runtime.names import problem
from stack.safety import _queues
from stack.state import queues, stored
from stack.worker.presence import NAMES


@pytest.mark.parametrize(
    "name", ["default", "mail", "reports.daily", "a-b_c", "größe", "unacked2", "celery", "/x", "my.0"]
)
def test_a_queue_may_have_any_word_for_a_name(name: str) -> None:
    assert problem(name) is None


RESERVED = [
    *(Channel.unacked_key, Channel.unacked_index_key, Channel.unacked_mutex_key),
    *(Channel.keyprefix_queue % "default", Channel.keyprefix_binding_permanent % "default"),
    *(Channel.keyprefix_binding_deadlines, Channel.keyprefix_fanout.format(db=0) + "celery.pidbox"),
    *(prefix + "x" for prefix in (Backend.task_keyprefix, Backend.group_keyprefix, Backend.chord_keyprefix)),
    *(Mailbox.exchange_fmt % "celery", "worker@host.celery.pidbox", "0f-1.reply.celery.pidbox", "reply.celery.pidbox"),
    *("celeryev", "celeryev.0f-1", RedBeatConfig(app).schedule_key, RedBeatConfig(app).lock_key, "redbeat:e"),
    *(stored.INSTALLED, stored.ZONE, aside.PROBLEMS, queues.SERVED, NAMES, "stack:task:0f-1"),
    *(f"default{TRANSPORTS['stock']['sep']}3", f"default{Channel.sep}3"),
    *("redbeat", "stack"),  # redbeat:3 is the list of its third priority, and the schedule 3
    *("", " ", "a b", "a\n", "a\x00", "a,b", "\ud800"),
]


@pytest.mark.parametrize("name", RESERVED)
def test_a_queue_may_not_have_the_name_of_a_key_of_others(name: str) -> None:
    assert problem(name)
    if name and "," not in name and name.strip() == name:
        (told,) = contradictions({"WORKER_QUEUES": name})
        assert told.startswith(f"WORKER_QUEUES names {name!r}, which ")
        assert names.ACCEPTED in told


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("task_default_queue", "unacked"),
        ("task_queues", [Queue("default"), Queue("unacked")]),
        ("task_queues", {"unacked": {"exchange": "unacked"}}),
        ("task_routes", {"mail.*": {"queue": "unacked"}}),
        ("task_routes", ([("mail.send", "unacked")],)),
        ("task_routes", [{"mail.send": {"queue": Queue("unacked")}}]),
        ("beat_schedule", {"nightly": {"task": "ping", "schedule": 60, "options": {"queue": "unacked"}}}),
    ],
)
def test_a_reserved_queue_of_the_settings_is_named_at_start(setting: str, value: object) -> None:
    (told,) = _queues(AttributeDict({setting: value}), [])
    assert told.startswith(f"{setting} names the queue 'unacked', which is a key")


@pytest.mark.parametrize("queue", ["unacked", Queue("unacked")])
def test_a_reserved_queue_of_a_task_is_named_at_start(queue: object) -> None:
    (told,) = _queues(AttributeDict(), [AttributeDict(name="report", queue=queue)])
    assert told.startswith("The task report names the queue 'unacked'")
    assert _queues(AttributeDict(), [AttributeDict(name="report", queue="mail"), AttributeDict(name="other")]) == []


@pytest.mark.parametrize(
    "options",
    [{"queue": "unacked"}, {"queue": Queue("unacked_index")}, {"exchange": "", "routing_key": "unacked"}],
)
def test_own_code_cannot_send_to_a_reserved_queue(options: dict[str, object]) -> None:
    with pytest.raises(ReservedQueue, match="the task ping cannot be sent: its queue 'unacked"):
        app.amqp.router.route(options, "ping")
    assert app.amqp.router.route({"queue": "mail"}, "ping")["queue"].name == "mail"


def test_remote_control_cannot_make_a_worker_read_a_reserved_queue() -> None:
    with pytest.raises(ReservedQueue, match="no worker can take tasks from 'unacked', which is a key"):
        app.amqp.Queues({}).select_add("unacked", exchange="unacked", exchange_type="direct")
    assert app.amqp.Queues({}).select_add("mail").name == "mail"


def to_unacked(name: str, *_: object, **__: object) -> dict[str, str] | None:
    return {"queue": "unacked"} if name == "ping" else None


def test_what_a_function_of_the_settings_routes_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.amqp.router, "routes", [to_unacked])
    with pytest.raises(ReservedQueue):
        app.amqp.router.route({}, "ping")
    tasks = [AttributeDict(name="ping"), AttributeDict(name="add")]
    (told,) = _queues(AttributeDict(task_routes=to_unacked), tasks)
    assert told.startswith("A function of task_routes: the task ping cannot be sent: its queue 'unacked' is a key")


def test_the_queues_of_the_settings_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app.conf, "task_routes", {"mail.*": {"queue": "mail"}, "other": "other"})
    monkeypatch.setattr(current_app.conf, "beat_schedule", {"e": {"task": "ping", "options": {"queue": "nightly"}}})
    monkeypatch.setitem(queues.settings.ENV, "WORKER_QUEUES", "celery,scaled")
    assert queues.of_settings() >= {"celery", "mail", "other", "nightly", "scaled"}
    assert queues.Known().refusal("nightly") is None


def test_the_accepted_queues_are_told_and_not_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "served", lambda: {f"q{number:03}" for number in range(500)} | {"unacked"})
    told = queues.Known().refusal("nobody") or ""
    assert "It must be one of celery, q000, q001" in told
    assert "and 481 more" in told
    assert queues.Known().refusal("q499") is None
    assert "is a key" in (queues.Known().refusal("unacked") or "")
