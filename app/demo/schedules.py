"""The demo's periodic tasks: the tutorial's two, a timedelta, and a schedule class of our own."""

import calendar
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab, schedstate


class last_business_day(BaseSchedule):  # noqa: N801 (named like Celery's crontab and schedule)
    """Once a month, on the last day that is neither Saturday, Sunday nor a given holiday; crontab cannot say that.

    Args:
        hour, minute: time of day in the scheduler's time zone.
        holidays: dates as "YYYY-MM-DD" that are no business days.
    """

    def __init__(self, hour: int = 0, minute: int = 0, holidays: tuple[str, ...] | list[str] = (), **kwargs: Any):
        super().__init__(**kwargs)
        self.hour, self.minute, self.holidays = hour, minute, tuple(holidays)

    def of_month(self, year: int, month: int) -> datetime:
        """The run of one month, in the scheduler's time zone."""
        day = datetime(year, month, calendar.monthrange(year, month)[1], self.hour, self.minute, tzinfo=self.tz)
        while day.weekday() >= 5 or day.date().isoformat() in self.holidays:
            day -= timedelta(days=1)
        return day

    def next_after(self, moment: datetime) -> datetime:
        """The first run after `moment` (aware)."""
        local = moment.astimezone(self.tz)
        year, month = local.year, local.month
        while (run := self.of_month(year, month)) <= local:
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        return run

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        # In UTC, because Python ignores a change of the clocks between two times of one zone.
        return self.next_after(self.maybe_make_aware(last_run_at)).astimezone(UTC) - self.now().astimezone(UTC)

    def is_due(self, last_run_at: datetime) -> schedstate:
        remaining = self.remaining_estimate(last_run_at).total_seconds()
        if remaining > 0:
            return schedstate(False, remaining)
        return schedstate(True, self.remaining_estimate(self.now()).total_seconds())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, last_business_day) and self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        return hash((self.hour, self.minute, self.holidays))

    def __repr__(self) -> str:
        return f"<last business day of the month at {self.hour:02}:{self.minute:02}>"

    def __reduce__(self) -> Any:
        """The class and its arguments: by these a scheduler stores it."""
        return self.__class__, (self.hour, self.minute, self.holidays)


SCHEDULES = {
    "add_every_30_seconds": {"task": "add", "schedule": 30.0, "args": (14, 5)},
    # Mondays at 20:20 in TIME_ZONE.
    "xsum_week1_20_20_00": {
        "task": "xsum",
        "schedule": crontab(hour=20, minute=20, day_of_week=1),
        "args": ([1, 2, 3, 4],),
    },
    "summarize_every_6_hours": {
        "task": "summarize",
        "schedule": timedelta(hours=6),
        "kwargs": {"dataset": "seattle-weather"},
        "options": {"expires": 3600},
    },
    "mail_on_the_last_business_day": {
        "task": "send_mail",
        "schedule": last_business_day(hour=9),
        "kwargs": {"to": "reports@example.com", "subject": "Month's end", "body": "The month is over."},
    },
}
