"""Beat's schedules in Redis: what the file says, what people change at run time, and which of them wins."""

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.roles.conftest import PROJECT, Redis, Role, free_port
from tests.waiting import wait_until

KEY = "redbeat:add_every_30_seconds"


def restart(run_role: Callable[..., Role], beat: Role, **variables: str) -> Role:
    beat.process.terminate()
    assert beat.process.wait(15) == 0
    return run_role("beat", **variables).wait_ready()


def definition(server: Redis, key: str = KEY) -> dict[str, Any]:
    return dict(json.loads(server.client.hget(key, "definition")))


def edit(server: Redis, **changes: Any) -> None:
    server.client.hset(KEY, "definition", json.dumps(definition(server) | changes))


def test_a_schedule_class_of_our_own_is_stored_as_itself(run_role: Callable[..., Role], redis_server: Redis) -> None:
    run_role("beat").wait_ready()
    stored = definition(redis_server, "redbeat:mail_on_the_last_business_day")
    assert stored["schedule"]["__type__"] == "demo.schedules.last_business_day"


def test_an_edit_and_a_deletion_outlive_a_restart_and_a_reset_undoes_them(
    run_role: Callable[..., Role], redis_server: Redis
) -> None:
    beat = run_role("beat").wait_ready()
    edit(redis_server, args=[1, 1])
    deleted = "redbeat:summarize_every_6_hours"
    redis_server.client.delete(deleted)
    redis_server.client.zrem("redbeat::schedule", deleted)

    beat = restart(run_role, beat)

    assert definition(redis_server)["args"] == [1, 1]
    assert not redis_server.client.exists(deleted)
    subprocess.check_call([sys.executable, "manage.py", "schedules_reset"], cwd=PROJECT / "app", env=beat.env)
    assert definition(redis_server)["args"] == [14, 5]
    assert definition(redis_server, deleted)["task"] == "summarize"


def test_a_change_of_the_file_takes_effect_unless_the_entry_was_edited(
    run_role: Callable[..., Role], redis_server: Redis
) -> None:
    beat = run_role("beat").wait_ready()

    beat = restart(run_role, beat, DJANGO_SETTINGS_MODULE="changed_settings")
    assert definition(redis_server)["args"] == [7, 7]
    assert not redis_server.client.exists("redbeat:xsum_week1_20_20_00")

    edit(redis_server, args=[1, 1])
    restart(run_role, beat)
    assert definition(redis_server)["args"] == [1, 1]


def test_a_run_carries_the_arguments_and_options_of_its_schedule(
    run_role: Callable[..., Role], redis_server: Redis
) -> None:
    run_role("beat", DJANGO_SETTINGS_MODULE="options_settings").wait_ready()
    # kombu keeps each priority of a queue in a list of its own.
    message = json.loads(wait_until(lambda: redis_server.client.lindex("reports:3", 0), 15))

    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert (message["headers"]["task"], args) == ("send_mail", ["reports@example.com"])
    assert kwargs == {"subject": "Now", "body": "It is time."}
    assert message["properties"]["priority"] == 3
    left = datetime.fromisoformat(message["headers"]["expires"]) - datetime.now(UTC)
    assert timedelta(seconds=60) < left < timedelta(seconds=91)


def test_an_unknown_schedule_class_stops_beat_at_start_by_name(run_role: Callable[..., Role]) -> None:
    beat = run_role("beat", DJANGO_SETTINGS_MODULE="unknown_settings")
    assert beat.process.wait(30) == 1
    assert "schedule 'by_the_moon' cannot be used" in beat.log.read_text()
    assert "moonrise" in beat.log.read_text()


def test_an_entry_of_an_unknown_class_in_redis_does_not_stop_the_others(
    run_role: Callable[..., Role], redis_server: Redis
) -> None:
    beat = run_role("beat").wait_ready()
    edit(redis_server, name="odd", schedule={"__type__": "sunset"})
    redis_server.client.hset("redbeat:odd", "definition", json.dumps(definition(redis_server)))
    redis_server.client.zadd("redbeat::schedule", {"redbeat:odd": 1})
    wait_until(lambda: "odd has a schedule of the unknown class sunset" in beat.log.read_text(), 10)
    assert beat.check(ready=True) is None


def test_an_entry_that_does_not_fit_is_named_and_holds_back_no_other(
    run_role: Callable[..., Role], redis_server: Redis
) -> None:
    beat = run_role("beat", DJANGO_SETTINGS_MODULE="unfit_settings").wait_ready()
    wait_until(lambda: redis_server.client.llen("celery") >= 6, 20)
    log = beat.log.read_text()
    assert "beat: does not fit cannot be sent" in log
    assert "missing 1 required positional argument" in log
    assert "not ticking" not in log
    assert log.count("took the lock") == 1


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stop_in_the_middle_of_a_run_sends_it_and_ends_beat(
    name: str, run_role: Callable[..., Role], redis_server: Redis
) -> None:
    beat = run_role("beat", DJANGO_SETTINGS_MODULE="slow_settings")
    wait_until(lambda: "on its way" in beat.log.read_text(), 30)
    assert redis_server.client.llen("celery") == 0
    beat.process.send_signal(signal.Signals[name])
    assert beat.process.wait(20) == 0
    assert redis_server.client.llen("celery") == 1


def test_a_setting_that_runs_foreign_code_stops_each_role_by_name(run_role: Callable[..., Role]) -> None:
    # gunicorn ends with 3 where a process of its own cannot load the application, and with 1 where two fail at once.
    bind = f"127.0.0.1:{free_port()}"
    for role, codes in (("web", (3, 1)), ("worker", (1,)), ("beat", (1,))):
        process = run_role(role, DJANGO_SETTINGS_MODULE="unsafe_settings", WEB_BIND=bind, C_FORCE_ROOT="1")
        assert process.process.wait(30) in codes
        assert "accept_content runs foreign code" in process.log.read_text()


def test_a_wrong_variable_stops_every_role_at_start_by_name(run_role: Callable[..., Role], tmp_path: Path) -> None:
    for role in ("web", "worker", "beat", "flower", "migrate"):
        process = run_role(role, LOG_LEVEL="LOUD")
        assert process.process.wait(10) == 1
        assert "LOG_LEVEL='LOUD': it must be one of DEBUG, INFO, WARNING, ERROR." in process.log.read_text()
