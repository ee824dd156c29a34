from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from celery import Celery
from celery.schedules import BaseSchedule, crontab, schedule

from stack import schedules
from stack.schedules import last_business_day


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
