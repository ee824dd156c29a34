"""Celery's configuration by role, and the private names of Celery that the worker stands on."""

import inspect
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import celery.worker.consumer.consumer
import celery.worker.loops
import celery.worker.state
import pytest
from celery import current_app
from celery.utils.collections import AttributeDict
from django.conf import settings

from stack.apps import environment_fits
from stack.broker.by_role import transport_options
from stack.broker.configuration import configuration
from stack.broker.connections import server_problem
from stack.safety import check_configuration
from stack.worker.steps import give_soft_limits

APP = Path(__file__).parents[2] / "app"
ENV = {"REDIS_PASSWORD": "p@ss/word"}


def test_the_web_gives_up_within_two_seconds_and_the_worker_waits() -> None:
    web, worker = configuration("web", ENV), configuration("worker", ENV)
    assert web["broker_transport_options"]["socket_timeout"] == web["redis_socket_timeout"] == 1
    assert web["result_backend_always_retry"] is False
    assert worker["result_backend_always_retry"] is True
    wanted = {"socket_timeout", "socket_connect_timeout", "health_check_interval", "retry_on_timeout"}
    assert wanted <= worker["broker_transport_options"].keys()


@pytest.mark.parametrize("role", ["web", "worker", "beat", "flower"])
def test_every_role_has_the_same_visibility_timeout_in_all_three_places(role: str) -> None:
    conf = configuration(role, ENV | {"VISIBILITY_TIMEOUT": "1234"})
    places = (conf, conf["broker_transport_options"], conf["result_backend_transport_options"])
    assert [place["visibility_timeout"] for place in places] == [1234] * 3


def test_the_password_is_quoted_into_the_url_and_tls_is_verified() -> None:
    conf = configuration("worker", ENV | {"REDIS_URL": "rediss://cache:6380/2"})
    assert conf["broker_url"] == "rediss://worker:p%40ss%2Fword@cache:6380/2?ssl_cert_reqs=required"


SAFE = {
    "broker_transport_options": transport_options("web", {}),
    "task_serializer": "json",
    "result_serializer": "json",
    "event_serializer": "json",
    "result_backend": configuration("web", ENV)["result_backend"],
    "result_expires": timedelta(days=1),
    "broker_url": configuration("web", ENV)["broker_url"],
    "broker_read_url": None,
    "broker_write_url": configuration("web", ENV)["broker_url"],
    "task_time_limit": 600,
    "accept_content": ["json"],
    "result_accept_content": None,
}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("task_time_limit", 4000),
        ("task_serializer", "pickle"),
        ("result_serializer", "yaml"),
        ("event_serializer", "pickle"),
        ("accept_content", ["json", "pickle"]),
        ("result_accept_content", ["pickle"]),
        ("result_expires", "a day"),
        ("broker_url", "redis://localhost:6379/0"),
        ("broker_read_url", "redis://localhost:6379/0"),
        ("broker_write_url", "amqp://localhost"),
    ],
)
def test_a_setting_that_loses_tasks_or_runs_foreign_code_is_named(setting: str, value: object) -> None:
    assert check_configuration(AttributeDict(SAFE), "web", ENV) == []
    found = check_configuration(AttributeDict(SAFE | {setting: value}), "web", ENV)
    assert setting in " ".join(found)


def test_a_task_that_may_run_longer_than_the_visibility_timeout_is_named() -> None:
    def found(limit: int) -> list[str]:
        return check_configuration(AttributeDict(SAFE), "web", ENV, [AttributeDict(name="report", time_limit=limit)])

    assert found(3480) == []
    assert "time_limit=3481 of the task report" in found(3481)[0]
    assert "VISIBILITY_TIMEOUT at least time_limit + STOP_GRACE + 60 = 3601" in found(3481)[0]


def test_tasks_that_run_where_they_are_sent_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "stack.W105" not in [message.id for message in environment_fits(None)]
    monkeypatch.setattr(current_app.conf, "task_always_eager", True)
    assert "stack.W105" in [message.id for message in environment_fits(None)]


def test_a_limit_of_all_tasks_that_is_too_long_is_told_once() -> None:
    tasks = [AttributeDict(name=name, time_limit=7200) for name in ("report", "celery.chord")]
    (found,) = check_configuration(AttributeDict(SAFE | {"task_time_limit": 7200}), "web", ENV, tasks)
    assert "task_time_limit (7200)" in found
    assert "make VISIBILITY_TIMEOUT at least 7320" in found


def test_the_password_of_another_broker_is_not_told() -> None:
    conf = AttributeDict(SAFE | {"broker_url": "redis://:hidden@elsewhere:6379/0"})
    (found,) = check_configuration(conf, "web", ENV)
    assert "elsewhere" in found
    assert "hidden" not in found


def test_a_task_longer_than_a_solo_worker_counts_as_alive_is_named() -> None:
    given = [AttributeDict(name="report", time_limit=1800)]
    assert check_configuration(AttributeDict(SAFE), "web", ENV, given) == []
    limited = ENV | {"WORKER_POOL": "solo", "TASK_TIME_LIMIT": "600"}
    (found,) = check_configuration(AttributeDict(SAFE), "web", limited, given)
    assert "time_limit=1800 of the task report exceeds the 600 s after which" in found


def test_a_task_with_a_time_limit_of_its_own_is_asked_to_end_before_it() -> None:
    def report() -> None:
        """Never run."""

    try:
        task = current_app.task(report, name="of this test", time_limit=60)
        give_soft_limits(current_app)
        assert (task.time_limit, task.soft_time_limit) == (60, 57)
    finally:
        current_app.tasks.pop("of this test", None)
    given = AttributeDict(name="report", time_limit=60, soft_time_limit=90)
    (found,) = check_configuration(AttributeDict(SAFE), "web", ENV, [given])
    assert "soft_time_limit=90 of the task report comes after its time_limit=60" in found


def test_manage_check_reports_a_contradiction_with_its_fix() -> None:
    env = os.environ | {"VISIBILITY_TIMEOUT": "600", "TASK_TIME_LIMIT": "600"}
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, cwd=APP, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "(stack.E001) VISIBILITY_TIMEOUT=600 is too short" in done.stderr
    assert "Make it at least TASK_TIME_LIMIT + STOP_GRACE + 60 = 720." in done.stderr


def test_the_projects_own_configuration_is_safe_and_its_settings_win() -> None:
    assert check_configuration(current_app.conf, "web", settings.ENV) == []
    assert current_app.conf.task_track_started is True
    assert current_app.conf.redis_socket_timeout == 1


def test_celery_still_calls_maybe_shutdown_where_the_heartbeat_hangs() -> None:
    loops = inspect.getsource(celery.worker.loops)
    assert loops.count("state.maybe_shutdown()") == 2
    assert celery.worker.consumer.consumer.maybe_shutdown is celery.worker.state.maybe_shutdown
    assert "callback=maybe_shutdown" in inspect.getsource(celery.worker.consumer.consumer)


def test_celery_still_connects_where_the_pauses_are_bounded() -> None:
    source = inspect.getsource(celery.worker.consumer.consumer.Consumer.ensure_connected)
    assert "conn = conn.ensure_connection(" in source
    assert "interval_" not in source
    assert configuration("worker", ENV)["worker_consumer"] == "stack.worker.consumer:Consumer"


def test_celery_still_keeps_what_the_stop_reads() -> None:
    for name in (
        "reserved_requests",
        "active_requests",
        "requests",
        "all_total_count",
        "should_stop",
        "should_terminate",
    ):
        assert hasattr(celery.worker.state, name)
    assert "should_terminate" in inspect.getsource(celery.worker.state.maybe_shutdown)


@pytest.mark.parametrize(("version", "fits"), [("6.0.16", False), ("5.0.3", False), ("6.2.14", True), ("8.0.2", True)])
def test_a_redis_server_that_is_too_old_is_named_with_the_version_it_needs(version: str, fits: bool) -> None:
    problem = server_problem(version)
    assert (problem is None) is fits
    assert fits or f"Redis {version}" in str(problem)


def test_the_web_knows_every_task_before_its_first_request() -> None:
    code = "import stack.wsgi, celery; print(sorted(dict.keys(celery.current_app._tasks)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=APP, capture_output=True, text=True, check=True)
    assert "'ping'" in done.stdout
