"""What a call to /api/schedules makes of a schedule that is there, at set times and with a Redis of the test's own."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
import time_machine
from celery.schedules import crontab
from django.http import HttpRequest
from fakeredis import FakeRedis
from ninja.errors import HttpError
from redbeat.schedulers import REDBEAT_REDIS_KEY

import stack.http.api  # noqa: F401 (it imports the calls, and they take from it)
from stack.broker import connections
from stack.celery import app
from stack.http import schedules_api
from stack.http.schedules_shapes import Options, ScheduleIn
from stack.state import installing, queues
from stack.state.entries import Entry
from stack.state.stored import queues as queues_of

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MISSED = NOW - timedelta(days=3)
SCHEDULE_KEY, KEY = "redbeat::schedule", "redbeat:e"


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRedis]:
    client = FakeRedis(decode_responses=True)
    monkeypatch.setattr(app, REDBEAT_REDIS_KEY, client, raising=False)
    monkeypatch.setitem(connections._clients, False, client)
    with time_machine.travel(NOW, tick=False):
        yield client
    client.close()


def put(name: str = "e", **fields: Any) -> dict[str, Any]:
    status, shown = schedules_api.put(HttpRequest(), name, ScheduleIn(**fields))
    assert status in (200, 201)
    return dict(shown)


def stored() -> Entry:
    """The entry as beat reads it."""
    entry: Entry = Entry.from_key(KEY, app=app)
    return entry


def ran(redis: FakeRedis, when: datetime) -> None:
    """Note a run as beat does."""
    entry = stored()
    with time_machine.travel(when, tick=False):
        next(entry)


def test_relative_stays_as_it_was_until_it_is_given(redis: FakeRedis) -> None:
    assert put(task="ping", every=3600)["relative"] is False
    assert put(relative=True)["relative"] is True
    changed = put(every=1800)
    assert (changed["every"], changed["relative"]) == (1800, True)
    changed = put(relative=False)
    assert (changed["every"], changed["relative"]) == (1800, False)


def test_a_crontab_is_not_relative(redis: FakeRedis) -> None:
    with pytest.raises(HttpError, match="relative: only with every"):
        put(task="ping", crontab="0 2 * * *", relative=True)
    put(task="ping", crontab="0 2 * * *")
    with pytest.raises(HttpError, match="relative: only with every"):
        put(relative=True)
    assert put(relative=False)["crontab"] == "0 2 * * *"


@pytest.mark.parametrize("name", [":installed", ":schedule", ":lock", ":", "run:e", "", "a\nb", "x" * 201])
def test_a_name_that_is_beats_own_or_none_is_refused(redis: FakeRedis, name: str) -> None:
    with pytest.raises(HttpError, match="name: 1 to 200") as refused:
        put(name, task="ping", every=5)
    assert refused.value.status_code == 422
    assert redis.keys() == []


@pytest.mark.parametrize("name", [":installed", "run:e"])
def test_a_key_of_beats_own_is_no_schedule_to_delete(redis: FakeRedis, name: str) -> None:
    redis.hset(f"redbeat:{name}", "definition", '{"name": "e", "task": "ping", "schedule": null}')
    with pytest.raises(HttpError) as unknown:
        schedules_api.delete(HttpRequest(), name)
    assert unknown.value.status_code == 404
    assert redis.exists(f"redbeat:{name}")


@pytest.mark.parametrize("change", [{"enabled": True}, {"enabled": True, "args": []}])
def test_a_crontab_that_is_switched_on_waits_for_its_next_turn(redis: FakeRedis, change: dict[str, Any]) -> None:
    put(task="ping", crontab="0 2 * * *")
    ran(redis, MISSED)
    put(enabled=False)
    assert redis.zscore(SCHEDULE_KEY, KEY) == math.inf  # beat does not look at it

    shown = put(**change)

    assert not stored().is_due().is_due
    assert shown["next_run_at"] == "2026-11-23T02:00:00+00:00"
    assert redis.zscore(SCHEDULE_KEY, KEY) == pytest.approx(datetime(2026, 11, 23, 2, tzinfo=UTC).timestamp(), abs=1)
    assert (shown["last_run_at"], shown["total_run_count"]) == ("2026-11-19T12:00:00+00:00", 1)
    assert schedules_api.list_schedules(HttpRequest())[0]["last_run_at"] == "2026-11-19T12:00:00+00:00"


def test_a_crontab_that_is_changed_waits_for_its_next_turn(redis: FakeRedis) -> None:
    put(task="ping", crontab="0 20 * * *")
    ran(redis, NOW - timedelta(hours=10))
    assert put(crontab="0 11 * * *")["next_run_at"] == "2026-11-23T11:00:00+00:00"
    assert not stored().is_due().is_due


def test_a_crontab_that_the_settings_change_waits_for_its_next_turn(redis: FakeRedis) -> None:
    def install(rule: str) -> None:
        entry = Entry(name="e", task="ping", schedule=crontab.from_string(rule), app=app)
        installing.install_entries(app, {"e": entry})

    install("0 20 * * *")
    ran(redis, NOW - timedelta(hours=10))
    install("0 11 * * *")
    assert (stored().is_due().is_due, stored().total_run_count) == (False, 1)


def test_a_missed_turn_is_made_up_after_a_change_of_anything_else(redis: FakeRedis) -> None:
    put(task="ping", crontab="0 2 * * *")
    ran(redis, MISSED)
    put(args=[], options=Options(priority=3))
    assert stored().is_due().is_due


def test_a_run_after_it_was_switched_on_is_its_last_run(redis: FakeRedis) -> None:
    put(task="ping", every=60)
    ran(redis, MISSED)
    put(enabled=False)
    put(enabled=True)
    ran(redis, NOW)
    shown = schedules_api.list_schedules(HttpRequest())[0]
    assert (shown["last_run_at"], shown["total_run_count"]) == ("2026-11-22T12:00:00+00:00", 2)


def test_a_new_schedule_knows_nothing_of_the_deleted_one_of_its_name(redis: FakeRedis) -> None:
    put(task="ping", crontab="0 2 * * *")
    entry = stored()
    schedules_api.delete(HttpRequest(), "e")
    with time_machine.travel(MISSED, tick=False):
        next(entry)

    shown = put(task="ping", crontab="0 2 * * *")

    assert not stored().is_due().is_due
    assert (shown["last_run_at"], shown["total_run_count"], stored().total_run_count) == (None, 0, 0)


def test_a_rule_changed_while_beat_sends_decides_on_the_next_run(redis: FakeRedis) -> None:
    put(task="ping", crontab="0 2 * * *")
    entry = stored()
    put(every=5)

    next(entry)

    assert redis.zscore(SCHEDULE_KEY, KEY) == pytest.approx(NOW.timestamp() + 5, abs=1)


def test_a_schedule_of_an_unknown_class_is_kept_as_it_is(redis: FakeRedis) -> None:
    put(task="ping", every=5)
    definition = json.loads(redis.hget(KEY, "definition")) | {"schedule": {"__type__": "sunset", "city": "Bergen"}}
    redis.hset(KEY, "definition", json.dumps(definition))

    shown = schedules_api.list_schedules(HttpRequest())[0]
    assert (shown["every"], shown["crontab"], shown["enabled"]) == (None, None, False)
    assert "sunset" in shown["schedule"]
    for change in ({"enabled": True}, {"args": []}, {"relative": True}):
        with pytest.raises(HttpError, match="does not know <the unknown class sunset>"):
            put(**change)
    assert json.loads(redis.hget(KEY, "definition")) == definition
    assert put(every=5, enabled=True)["every"] == 5


@pytest.mark.parametrize("data", [{"__type__": "datetime"}, {"__type__": "interval"}, {"__type__": "crontab"}])
def test_arguments_that_look_like_a_type_of_ours_stay_what_they_are(redis: FakeRedis, data: dict[str, str]) -> None:
    put(task="ping", every=5)
    entry = stored()
    entry.kwargs = {"data": data}
    entry.save()

    assert schedules_api.list_schedules(HttpRequest())[0]["kwargs"] == {"data": data}
    assert stored().kwargs == {"data": data}
    assert schedules_api.delete(HttpRequest(), "e") == (204, None)


def test_the_queue_that_only_a_schedule_names_is_known(redis: FakeRedis) -> None:
    redis.sadd(queues.SERVED, "reports")
    put(task="ping", every=60, options=Options(queue="reports"))
    put("other", task="ping", every=60)
    assert queues_of(app) == {"reports"}


@pytest.mark.parametrize(("token", "by"), [("", "anybody: there is no API_TOKEN"), ("t" * 20, "the API token")])
def test_a_change_is_told_with_whether_a_token_was_needed(
    redis: FakeRedis, monkeypatch: pytest.MonkeyPatch, token: str, by: str
) -> None:
    monkeypatch.setitem(schedules_api.settings.ENV, "API_TOKEN", token)
    request = HttpRequest()
    request.META["HTTP_AUTHORIZATION"] = "Bearer made-up"
    with structlog.testing.capture_logs() as lines:
        schedules_api.put(request, "e", ScheduleIn(task="ping", every=60))
    assert [line["by"] for line in lines] == [by]
    assert json.loads(lines[0]["after"])["task"] == "ping"


@pytest.mark.parametrize("given", [[0, 30], {30, 0}])
def test_a_crontab_of_a_list_is_shown_and_edited_as_any_other(redis: FakeRedis, given: Any) -> None:
    Entry(name="e", task="ping", schedule=crontab(minute=given), args=[], kwargs={}, options={}, app=app).save()
    (shown,) = schedules_api.list_schedules(HttpRequest())
    assert shown["crontab"] == "0,30 * * * *"
    assert put(crontab=shown["crontab"], enabled=True)["next_run_at"] == "2026-11-22T12:30:00+00:00"
