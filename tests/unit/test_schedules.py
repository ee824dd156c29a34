"""When schedules run next: each class, in zones and across changes of the clocks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from celery import Celery, current_app
from celery.schedules import BaseSchedule, crontab, schedule

from stack.state import schedules
from stack.state.entries import Entry


@pytest.mark.parametrize(
    "value",
    [
        crontab(hour=20, minute=20, day_of_week=1),
        schedule(30.0),
        schedule(timedelta(hours=6), relative=True),
    ],
)
def test_every_schedule_comes_back_from_json_as_it_was(value: BaseSchedule) -> None:
    back = schedules.loads(schedules.dumps({"schedule": value}))["schedule"]
    assert type(back) is type(value)
    assert back == value


class moonrise(schedule):  # noqa: N801
    """A project's class, which says nothing of how it is stored: it has the `__reduce__` of its base."""


def test_a_class_that_only_redis_names_is_not_made() -> None:
    text = schedules.dumps({"schedule": moonrise(10)})
    stored = {"__type__": f"{__name__}.moonrise", "args": [timedelta(seconds=10), False, None]}
    assert schedules.loads(text)["schedule"] == stored
    for evil in ("os.system", "subprocess.Popen", "celery.schedules.schedule"):
        assert schedules.loads(f'{{"__type__": "{evil}", "args": ["true"]}}') == {"__type__": evil, "args": ["true"]}


def test_a_schedule_class_of_the_settings_is_stored_and_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"task": "ping", "schedule": moonrise(timedelta(hours=25), relative=True)}
    monkeypatch.setattr(current_app.conf, "beat_schedule", {"by the moon": entry, "by number": {"schedule": 5.0}})
    back = schedules.loads(schedules.dumps(entry["schedule"]))
    assert type(back) is moonrise
    assert (back.run_every, back.relative) == (timedelta(hours=25), True)


def test_a_schedule_that_cannot_be_stored_is_refused_by_name() -> None:
    class sunset(BaseSchedule):  # noqa: N801
        pass

    for value in (sunset(), moonrise(10, nowfun=lambda: NOW)):
        with pytest.raises(TypeError, match=rf"{type(value).__name__} cannot be stored.*__reduce__"):
            schedules.dumps({"schedule": value})


NOW = datetime(2026, 11, 22, 10, 10, 10, tzinfo=UTC)  # a Sunday


def next_run(every: Any, zone: str = "UTC", now: datetime = NOW) -> str:
    """When an entry that ran at `now` runs next, in its zone."""
    app = Celery(set_as_current=False)
    app.conf.update(timezone=zone, redbeat_redis_url="redis://127.0.0.1:1", redbeat_redis_options={})
    with time_machine.travel(now, tick=False):
        entry = Entry(name="e", task="ping", schedule=every, last_run_at=now, app=app)
        assert not entry.is_due().is_due
        due = entry.due_at
    with time_machine.travel(due + timedelta(seconds=1), tick=False):
        assert entry.is_due().is_due
    return str(due.astimezone(app.timezone).strftime("%Y-%m-%d %H:%M:%S%z"))


@pytest.mark.parametrize(
    ("every", "run"),
    [
        (30.0, "2026-11-22 10:10:40+0000"),
        (timedelta(hours=6), "2026-11-22 16:10:10+0000"),
        (schedule(3600, relative=True), "2026-11-22 11:00:00+0000"),
        (schedule(timedelta(days=1), relative=True), "2026-11-23 00:00:00+0000"),
        (crontab(minute="*/15"), "2026-11-22 10:15:00+0000"),
        (crontab(minute=0, hour=4, day_of_month=1), "2026-12-01 04:00:00+0000"),
        (crontab(hour=20, minute=20, day_of_week=1), "2026-11-23 20:20:00+0000"),
    ],
    ids=str,
)
def test_each_kind_of_schedule_runs_next_when_it_says(every: Any, run: str) -> None:
    assert next_run(every) == run


@pytest.mark.parametrize(
    ("every", "run"),
    [
        # It is 18:10 in Shanghai.
        (crontab(hour=20, minute=20, day_of_week=1), "2026-11-23 20:20:00+0800"),
        (crontab(hour=20, minute=20), "2026-11-22 20:20:00+0800"),
        (schedule(timedelta(days=1), relative=True), "2026-11-23 00:00:00+0800"),
        (30.0, "2026-11-22 18:10:40+0800"),
    ],
    ids=str,
)
def test_a_schedule_is_read_in_the_time_zone_of_the_settings(every: Any, run: str) -> None:
    assert next_run(every, "Asia/Shanghai") == run


@pytest.mark.parametrize(
    ("every", "now", "run"),
    [
        # Far from any change Celery's own answer stands; the others are in tests/roles/test_clocks.py.
        (crontab(minute=30, hour=2), "2026-07-01T12:00+02:00", "2026-07-02 02:30:00+0200"),
        (crontab(minute=30, hour=2), "2026-10-24T12:00+02:00", "2026-10-25 02:30:00+0200"),
        (crontab(minute=30, hour=2), "2026-10-25T02:30+01:00", "2026-10-26 02:30:00+0100"),
        (crontab(minute=0, hour=9), "2026-10-24T12:00+02:00", "2026-10-25 09:00:00+0100"),
        (crontab(minute=30), "2026-10-25T02:30+02:00", "2026-10-25 02:30:00+0100"),
        (crontab(minute=30, hour=2), "2027-03-27T12:00+01:00", "2027-03-28 03:30:00+0200"),
        (
            crontab(minute=0, hour=0, day_of_month=1, month_of_year=4),
            "2027-03-28T03:00+02:00",
            "2027-04-01 00:00:00+0200",
        ),
    ],
)
def test_a_crontab_is_right_around_a_change_of_the_clocks_in_berlin(every: crontab, now: str, run: str) -> None:
    assert next_run(every, "Europe/Berlin", datetime.fromisoformat(now)) == run


def test_the_tutorials_schedules_are_as_in_the_tutorial() -> None:
    demo = pytest.importorskip("demo.schedules", reason="it tests app/demo")
    seconds, weekly = demo.SCHEDULES["add_every_30_seconds"], demo.SCHEDULES["xsum_week1_20_20_00"]
    assert (seconds["task"], seconds["schedule"], seconds["args"]) == ("add", 30.0, (14, 5))
    assert (weekly["task"], weekly["schedule"]) == ("xsum", crontab(hour=20, minute=20, day_of_week=1))
