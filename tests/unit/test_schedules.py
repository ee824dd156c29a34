"""When schedules run next: each class, in zones and across changes of the clocks."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from celery import Celery
from celery.schedules import BaseSchedule, crontab, schedule

from stack.state import schedules
from stack.state.entries import Entry
from stack.state.schedules import last_business_day


def in_zone(zone: str, **arguments: Any) -> last_business_day:
    app = Celery(set_as_current=False)
    app.conf.timezone = zone
    return last_business_day(app=app, **arguments)


@pytest.mark.parametrize(
    ("now", "run"),
    [
        ("2026-11-22 12:00", "2026-11-30 09:00"),  # a Monday
        ("2026-11-30 09:00", "2026-12-31 09:00"),
        ("2026-05-01 00:00", "2026-05-29 09:00"),  # the 30th and 31st are a weekend
        ("2026-12-31 09:01", "2027-01-29 09:00"),  # into the next year
        ("2028-02-01 00:00", "2028-02-29 09:00"),  # a leap day
    ],
)
def test_last_business_day_is_the_last_weekday_of_the_month(now: str, run: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert in_zone("UTC", hour=9).next_after(moment) == datetime.fromisoformat(run).replace(tzinfo=UTC)


def test_a_holiday_is_no_business_day() -> None:
    every = in_zone("UTC", hour=9, holidays=["2026-12-31"])
    assert every.next_after(datetime(2026, 12, 1, tzinfo=UTC)).day == 30


def test_it_is_due_once_at_its_time_and_then_not_before_the_next_month() -> None:
    every, last_run = in_zone("UTC", hour=9), datetime(2026, 10, 30, 9, tzinfo=UTC)
    with time_machine.travel(datetime(2026, 11, 30, 8, 59, tzinfo=UTC), tick=False):
        assert every.is_due(last_run) == (False, 60)
    with time_machine.travel(datetime(2026, 11, 30, 9, 0, 1, tzinfo=UTC), tick=False):
        assert every.is_due(last_run).is_due
        assert not every.is_due(datetime(2026, 11, 30, 9, 0, 1, tzinfo=UTC)).is_due


def test_the_hour_is_local_on_both_sides_of_a_change_of_the_clocks() -> None:
    zone = ZoneInfo("Europe/Berlin")
    every = in_zone("Europe/Berlin", hour=9)
    summer = every.next_after(datetime(2026, 9, 1, tzinfo=zone))
    winter = every.next_after(datetime(2026, 10, 26, tzinfo=zone))
    assert (summer.hour, summer.utcoffset(), winter.hour, winter.utcoffset()) == (
        9,
        timedelta(hours=2),
        9,
        timedelta(hours=1),
    )


@pytest.mark.parametrize(
    "value",
    [
        last_business_day(hour=9, minute=30, holidays=["2026-12-31"]),
        crontab(hour=20, minute=20, day_of_week=1),
        schedule(30.0),
        schedule(timedelta(hours=6), relative=True),
    ],
)
def test_every_schedule_comes_back_from_json_as_it_was(value: BaseSchedule) -> None:
    back = schedules.loads(schedules.dumps({"schedule": value}))["schedule"]
    assert type(back) is type(value)
    assert back == value


def test_an_unregistered_schedule_class_is_refused_by_name() -> None:
    class moonrise(schedule):  # noqa: N801
        pass

    with pytest.raises(TypeError, match="moonrise"):
        schedules.dumps({"schedule": moonrise(10)})


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
        (last_business_day(hour=9), "2026-11-30 09:00:00+0000"),
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
        (last_business_day(hour=9), "2026-11-30 09:00:00+0800"),
        (30.0, "2026-11-22 18:10:40+0800"),
    ],
    ids=str,
)
def test_a_schedule_is_read_in_the_time_zone_of_the_settings(every: Any, run: str) -> None:
    assert next_run(every, "Asia/Shanghai") == run


def test_the_tutorials_schedules_are_as_in_the_tutorial() -> None:
    SCHEDULES = pytest.importorskip("demo.schedules", reason="it tests app/demo").SCHEDULES  # noqa: N806
    seconds, weekly = SCHEDULES["add_every_30_seconds"], SCHEDULES["xsum_week1_20_20_00"]
    assert (seconds["task"], seconds["schedule"], seconds["args"]) == ("add", 30.0, (14, 5))
    assert (weekly["task"], weekly["schedule"]) == ("xsum", crontab(hour=20, minute=20, day_of_week=1))


def test_a_run_of_the_next_day_is_not_an_hour_off_when_clocks_change() -> None:
    # In Cairo clocks went forward at midnight before the last business day of April 2027.
    zone = ZoneInfo("Africa/Cairo")
    with time_machine.travel(datetime(2027, 4, 29, 12, 0, tzinfo=zone), tick=False):
        every = in_zone("Africa/Cairo", hour=9)
        assert every.remaining_estimate(datetime(2027, 3, 31, 9, tzinfo=zone)) == timedelta(hours=20)


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
