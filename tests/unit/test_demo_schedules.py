"""The demo's own schedule class."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from celery import Celery, current_app

from stack.state import schedules
from tests.unit.test_schedules import next_run

demo = pytest.importorskip("demo.schedules", reason="it tests app/demo")
last_business_day: Any = demo.last_business_day


def in_zone(zone: str, **arguments: Any) -> Any:
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


def test_a_run_of_the_next_day_is_not_an_hour_off_when_clocks_change() -> None:
    # In Cairo clocks went forward at midnight before the last business day of April 2027.
    zone = ZoneInfo("Africa/Cairo")
    with time_machine.travel(datetime(2027, 4, 29, 12, 0, tzinfo=zone), tick=False):
        every = in_zone("Africa/Cairo", hour=9)
        assert every.remaining_estimate(datetime(2027, 3, 31, 9, tzinfo=zone)) == timedelta(hours=20)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
def test_beat_runs_it_at_its_time_in_the_zone_of_the_settings(zone: str) -> None:
    assert next_run(last_business_day(hour=9), zone)[:19] == "2026-11-30 09:00:00"


def test_it_comes_back_from_json_as_it_was() -> None:
    value = last_business_day(hour=9, minute=30, holidays=["2026-12-31"])
    given = {"month's end": {"task": "ping", "schedule": value}}
    assert type(current_app.conf.beat_schedule["mail_on_the_last_business_day"]["schedule"]) is type(value)
    assert schedules.loads(schedules.dumps(given)) == given
