"""Any Celery app becomes the stack's: made in any of Celery's ways, used before or not, with classes of its own."""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import celery.concurrency.prefork
import pytest
from celery import Celery, Task
from celery.app import trace
from celery.app.amqp import AMQP
from celery.backends.redis import RedisBackend as CeleryRedisBackend
from kombu import Exchange, Queue

from stack.broker.backend import RedisBackend
from stack.broker.precedence import given
from stack.broker.routing import ReservedQueue
from stack.celery import configure
from stack.celery_layers import laid

OWN = {
    "broker_url": "amqp://elsewhere//",
    "task_default_queue": "shop",
    "result_expires": 4000,
    "task_acks_late": False,
}


ENV = {"SERVICE_ROLE": "worker", "REDIS_PASSWORD": "unused"}


def django_settings(app: Celery, values: dict[str, Any]) -> None:
    names = {f"CELERY_{name.upper()}": value for name, value in values.items()}
    app.config_from_object(SimpleNamespace(**names), namespace="CELERY")


def module(app: Celery, values: dict[str, Any]) -> None:
    app.config_from_object(SimpleNamespace(**values))


OLD = {
    "broker_url": "BROKER_URL",
    "task_default_queue": "CELERY_DEFAULT_QUEUE",
    "result_expires": "CELERY_TASK_RESULT_EXPIRES",
    "task_acks_late": "CELERY_ACKS_LATE",
    "worker_concurrency": "CELERYD_CONCURRENCY",
    "result_backend": "CELERY_RESULT_BACKEND",
    "task_ignore_result": "CELERY_IGNORE_RESULT",
}


def old_names(app: Celery, values: dict[str, Any]) -> None:
    app.config_from_object(SimpleNamespace(**{OLD[name]: value for name, value in values.items()}))


def update(app: Celery, values: dict[str, Any]) -> None:
    app.conf.update(values)


def attributes(app: Celery, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(app.conf, name, value)


WAYS = [django_settings, module, old_names, update, attributes]


def advice(app: Celery, env: dict[str, str]) -> str:
    """What `service.py settings` and the checks say of the project's settings that do not hold."""
    return " ".join(each.advice for each in laid(app, env, "shop.settings").values() if each.advice)


def used(app: Celery) -> None:
    """What an app may have done when it is found: it read its settings, made its parts and bound its tasks."""
    assert app.conf.broker_url
    assert app.amqp.queues
    assert app.control
    assert app.events
    assert app.tasks


@pytest.fixture
def env() -> dict[str, str]:
    """What a test sets, beside what each role needs."""
    return {}


@pytest.fixture
def make(env: dict[str, str]) -> Callable[..., Celery]:
    def make(way: Callable[..., None], early: bool = False, **values: Any) -> Celery:
        app = Celery("shop", set_as_current=False)
        way(app, OWN | values)
        if early:
            used(app)
        return configure(app, ENV | env)

    return make


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_the_stack_wins_where_it_must_and_the_project_elsewhere(
    way: Callable[..., None], early: bool, make: Callable[..., Celery]
) -> None:
    app = make(way, early)

    assert app.conf.broker_url == app.conf.broker_write_url == "redis://worker:unused@127.0.0.1:6390/0"
    assert isinstance(app.backend, RedisBackend)
    assert app.conf.task_reject_on_worker_lost is app.conf.task_track_started is True
    assert (app.conf.task_default_queue, app.conf.result_expires, app.conf.task_acks_late) == ("shop", 4000, True)
    assert given(app.conf, "broker_url") == "amqp://elsewhere//"
    assert list(app.amqp.queues) == ["shop"]
    with pytest.raises(ReservedQueue):
        app.amqp.router.route({"queue": "unacked"}, "any")
    with pytest.raises(ReservedQueue):
        app.amqp.queues.select_add("unacked")
    assert app.connection_for_write().as_uri() == "redis://worker:**@127.0.0.1:6390/0"


@pytest.mark.parametrize("way", WAYS)
def test_the_environment_wins_over_the_project_where_it_is_set(
    way: Callable[..., None], make: Callable[..., Celery], env: dict[str, str]
) -> None:
    assert make(way, worker_concurrency=7).conf.worker_concurrency == 7
    env |= {"RESULT_EXPIRES": "7200", "WORKER_CONCURRENCY": "3", "TASK_TIME_LIMIT": "100"}
    app = make(way, worker_concurrency=7)
    assert (app.conf.result_expires, app.conf.worker_concurrency) == (7200, 3)
    assert (app.conf.task_time_limit, app.conf.task_soft_time_limit) == (100, 95)
    assert "RESULT_EXPIRES" in advice(app, env)


def test_without_a_word_of_anybody_celerys_own_defaults_hold(make: Callable[..., Celery]) -> None:
    app = Celery("shop", set_as_current=False)
    configure(app, ENV)
    assert (app.conf.task_default_queue, app.conf.task_time_limit, app.conf.task_soft_time_limit) == (
        *("celery", None, None),
    )
    assert app.conf.task_acks_late is True
    assert advice(app, ENV) == ""


def test_what_changes_later_does_not_take_the_stack_away(make: Callable[..., Celery]) -> None:
    app = make(django_settings)
    app.conf.update(broker_url="amqp://later//", task_default_priority=3)
    app.conf.broker_transport_options = {"visibility_timeout": 5, "queue_order_strategy": "priority"}
    app.add_defaults({"broker_url": "amqp://latest//"})
    assert app.conf.broker_url.startswith("redis://worker:")
    assert app.conf.task_default_priority == 3
    assert app.conf.broker_transport_options["sep"] == ":"
    app.config_from_object({"broker_url": "amqp://last//", "broker_transport_options": {"sep": "-"}})
    assert (app.conf.broker_url[:15], app.conf.broker_transport_options["sep"]) == ("redis://worker:", ":")


def test_options_of_the_transport_are_merged_but_for_the_names_of_keys(make: Callable[..., Celery]) -> None:
    own = {"queue_order_strategy": "priority", "visibility_timeout": 7200, "global_keyprefix": "shop", "sep": "-"}
    conf = (app := make(module, broker_transport_options=own)).conf
    options = conf.broker_transport_options
    assert (options["queue_order_strategy"], options["visibility_timeout"], options["sep"]) == ("priority", 7200, ":")
    assert "global_keyprefix" not in options
    assert conf.visibility_timeout == conf.result_backend_transport_options["visibility_timeout"] == 7200
    assert "BROKER_TRANSPORT_OPTIONS (global_keyprefix, sep) of the project is not used" in advice(app, ENV)


def test_results_and_schedules_are_under_keys_that_the_roles_may_write(
    make: Callable[..., Celery], env: dict[str, str]
) -> None:
    prefix = {"global_keyprefix": "shop"}
    app = make(module, result_backend_transport_options=prefix | {"retry_policy": {"timeout": 9}})
    assert app.backend.get_key_for_task("1") == b"celery-task-meta-1"
    assert app.conf.result_backend_transport_options["retry_policy"] == {"timeout": 9}
    assert "RESULT_BACKEND_TRANSPORT_OPTIONS (global_keyprefix) of the project is not used" in advice(app, ENV)
    app = make(module, result_backend="cache+memory://", result_backend_transport_options=prefix)
    assert app.conf.result_backend_transport_options["global_keyprefix"] == "shop"
    env["SERVICE_ROLE"] = "beat"
    assert make(module, redbeat_key_prefix="shop:").conf.redbeat_key_prefix == "redbeat:"


@pytest.mark.parametrize("variable", ["CELERY_BROKER_URL", "CELERY_BROKER_WRITE_URL"])
def test_a_variable_of_celery_does_not_send_tasks_elsewhere(
    variable: str, make: Callable[..., Celery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "redis://other:6379/0")
    app = make(django_settings)
    assert app.connection_for_write().as_uri() == "redis://worker:**@127.0.0.1:6390/0"
    assert f"{variable} of the project is not used" in advice(app, ENV)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ("redis://other:6379/1", RedisBackend),
        (None, RedisBackend),
        ("cache+memory://", "CacheBackend"),
        ("disabled://", "DisabledBackend"),
        ("file:///tmp", "FilesystemBackend"),
    ],
)
def test_a_result_backend_of_another_kind_is_the_projects(
    wanted: str | None, kind: Any, early: bool, make: Callable[..., Celery]
) -> None:
    backend = make(django_settings, early, result_backend=wanted).backend
    assert type(backend).__name__ == kind if isinstance(kind, str) else isinstance(backend, kind)
    if isinstance(backend, CeleryRedisBackend):
        assert backend.connparams["host"] == "127.0.0.1"


class OwnAMQP(AMQP):
    """A class of the project's own, as the documentation suggests."""

    argsrepr_maxsize = 7


class OwnTask(Task):
    """A base class that calls no super."""

    abstract = True

    def before_start(self, *_: Any) -> None:
        """As it is."""


def test_classes_of_the_projects_own_stay_under_the_stacks() -> None:
    app = Celery("shop", set_as_current=False, amqp=OwnAMQP, task_cls=OwnTask)
    app.conf.task_queues = [Queue("mail", Exchange("letters"), routing_key="out")]
    configure(app)

    @app.task(shared=False)
    def letter() -> None:
        """Never run."""

    assert isinstance(app.amqp, OwnAMQP)
    assert app.amqp.argsrepr_maxsize == 7
    assert isinstance(letter, OwnTask)
    assert list(app.amqp.queues) == ["mail"]
    with pytest.raises(ReservedQueue):
        app.amqp.router.route({"queue": "unacked"}, "any")


def test_tasks_that_were_bound_before_get_the_stacks_defaults() -> None:
    app = Celery("shop", set_as_current=False)

    @app.task(shared=False)
    def letter() -> None:
        """Never run."""

    @app.task(shared=False, acks_late=False, track_started=False)
    def own() -> None:
        """Never run."""

    assert app.tasks
    assert letter.acks_late is False
    configure(app)
    assert (own.acks_late, own.track_started, own.reject_on_worker_lost) == (False, False, True)
    assert app.conf.task_acks_late is True
    assert letter.acks_late is True
    assert letter.reject_on_worker_lost is True


def test_queues_that_were_added_before_stay() -> None:
    app = Celery("shop", set_as_current=False)
    app.amqp.queues.add(Queue("mail"))
    configure(app)
    assert "mail" in app.amqp.queues


def test_a_receiver_of_the_project_finds_the_settings_of_the_stack() -> None:
    app, seen = Celery("shop", set_as_current=False), []

    @app.on_after_configure.connect
    def look(sender: Any, **_: Any) -> None:
        seen.append(sender.conf.broker_url)

    configure(app)
    assert app.conf
    assert seen[0].startswith("redis://")
    assert "unused" in seen[0]


def test_django_gives_its_tasks_what_it_always_gives() -> None:
    app = Celery("shop", set_as_current=False)
    configure(app)

    @app.task(shared=False)
    def letter() -> None:
        """Never run."""

    assert callable(letter.delay_on_commit)


def test_celery_still_makes_tracers_where_the_start_is_watched() -> None:
    """In the consumer, in each process of the pool, and in `apply`, which import it when they need it."""
    assert "from celery.app.trace import build_tracer" in inspect.getsource(celery.concurrency.prefork)
    assert "from celery.app.trace import build_tracer" in inspect.getsource(Task.apply)
    from celery.worker.consumer import consumer

    assert consumer.build_tracer is trace.build_tracer  # type: ignore[attr-defined]
    assert trace.build_tracer.__module__ == "celery.app.trace"  # it wraps Celery's
    assert inspect.unwrap(trace.build_tracer) is not trace.build_tracer
