"""A crontab that is right in the nights in which clocks change.

Celery's looks at the time on the wall alone: from 02:50 it goes on to 03:00, though an autumn night may bring
02:00 again in between, and of several times that a spring night leaves out it runs the first. Here, as in Debian's
cron:

- A crontab with a `*` in its minute or hour means "each time the wall shows it". It keeps its pace through the
  night, and a time that does not exist is no run.
- Any other means "once a day at this time". A time that exists twice is run the first time only; one that does not
  exist is run as much later as the clocks jump (02:30 at 03:30).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from celery.schedules import crontab

# Longer than any zone's change, and short against the time between two of them.
NEAR = timedelta(hours=3)
FIELDS = ("_orig_minute", "_orig_hour", "_orig_day_of_month", "_orig_month_of_year", "_orig_day_of_week")


class Crontab(crontab):
    """Celery's crontab with the rules above."""

    @classmethod
    def of(cls, plain: crontab) -> "Crontab":
        """The same crontab as `plain`."""
        new = cls.__new__(cls)
        new.__dict__.update(plain.__dict__)
        # A list of Celery's, as [0, 30], in the one form that is stored, shown and edited.
        for name in FIELDS:
            if not isinstance(given := getattr(new, name), str | int):
                setattr(new, name, ",".join(map(str, sorted(given))))
        return new

    def remaining_estimate(self, last_run_at: datetime, ffwd: Any = None) -> timedelta:
        return self.next_after(self.maybe_make_aware(last_run_at)) - self.now().astimezone(UTC)

    def next_after(self, moment: datetime) -> datetime:
        """The first run after `moment` (aware), in UTC."""
        moment = moment.astimezone(UTC)
        local, delta, _ = self.remaining_delta(moment)
        run: datetime = (local + delta).astimezone(UTC)
        if _steady(moment, self.tz) and _steady(run, self.tz):
            return run
        return self._by_the_wall(moment)

    def _by_the_wall(self, moment: datetime) -> datetime:
        """As `next_after`, going through every time on the wall around a change of the clocks."""
        wall, first = moment.astimezone(self.tz).replace(tzinfo=UTC) - NEAR, None
        # The same crontab where no clock changes: it yields times on the wall.
        plain = crontab(*self.__reduce__()[1])
        plain.tz = UTC
        while first is None or wall.replace(tzinfo=self.tz).astimezone(UTC) < first + NEAR:
            last, delta, _ = plain.remaining_delta(wall)
            wall = last + delta
            for run in self._moments(wall):
                if run > moment and (first is None or run < first):
                    first = run
        return first

    def _moments(self, wall: datetime) -> Iterator[datetime]:
        """The moments at which a crontab with this time on the wall runs."""
        first, again = (wall.replace(tzinfo=self.tz, fold=fold).astimezone(UTC) for fold in (0, 1))
        each = any(str(field).startswith("*") for field in (self._orig_minute, self._orig_hour))
        exists = first.astimezone(self.tz).replace(tzinfo=UTC) == wall
        if exists or not each:
            yield first
        if exists and each:
            yield again


def _steady(moment: datetime, zone: tzinfo) -> bool:
    """Whether clocks do not change around this moment."""
    return (moment - NEAR).astimezone(zone).utcoffset() == (moment + NEAR).astimezone(zone).utcoffset()
