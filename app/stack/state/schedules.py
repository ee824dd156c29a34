"""Schedule classes beyond Celery's, and the JSON in which beat keeps every schedule.

A schedule class of your own is a `celery.schedules.BaseSchedule` with `fields()` (its constructor's keyword
arguments, plain JSON) that is registered here. One that is not registered stops beat at start, by name:
stored as something else it would run at the wrong times without a word.
"""

import calendar
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab, schedstate, schedule
from redbeat.decoder import RedBeatJSONDecoder, RedBeatJSONEncoder
from redbeat.schedules import rrule

from stack.state.clocks import Crontab

_registered: dict[str, type[Any]] = {}
_KNOWN_TO_REDBEAT = (schedule, crontab, Crontab, rrule)


def register(cls: type[Any]) -> type[Any]:
    """Class decorator: let beat store schedules of this class."""
    _registered[cls.__name__] = cls
    return cls


@register
class last_business_day(BaseSchedule):  # noqa: N801 (named like Celery's crontab and schedule)
    """Once a month, on the last day that is neither Saturday, Sunday nor a given holiday; crontab cannot say that.

    Args:
        hour, minute: time of day in the scheduler's time zone.
        holidays: dates as "YYYY-MM-DD" that are no business days.
    """

    def __init__(self, hour: int = 0, minute: int = 0, holidays: tuple[str, ...] | list[str] = (), **kwargs: Any):
        super().__init__(**kwargs)
        self.hour, self.minute, self.holidays = hour, minute, tuple(holidays)

    def fields(self) -> dict[str, Any]:
        return {"hour": self.hour, "minute": self.minute, "holidays": list(self.holidays)}

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
        return isinstance(other, last_business_day) and self.fields() == other.fields()

    def __hash__(self) -> int:
        return hash((self.hour, self.minute, self.holidays))

    def __repr__(self) -> str:
        return f"<last business day of the month at {self.hour:02}:{self.minute:02}>"

    def __reduce__(self) -> Any:
        return self.__class__, (self.hour, self.minute, self.holidays)


class Unknown(schedule):
    """What stands for a schedule whose class this version does not know; it is stored again as it was."""

    def __init__(self, stored: dict[str, Any]):
        super().__init__(3600.0)
        self.stored = stored

    def __repr__(self) -> str:
        return f"<the unknown class {self.stored.get('__type__')}>"


class Encoder(RedBeatJSONEncoder):
    """RedBeat's, plus the registered classes; RedBeat alone stores any other as a plain interval."""

    def default(self, obj: Any) -> Any:
        if type(obj) in _registered.values():
            return {"__type__": type(obj).__name__, **obj.fields()}
        if isinstance(obj, Unknown):
            return obj.stored
        if isinstance(obj, BaseSchedule) and type(obj) not in _KNOWN_TO_REDBEAT:
            raise TypeError(f"schedule class {type(obj).__name__} is not registered in stack.state.schedules")
        if isinstance(obj, datetime) and obj.tzinfo:
            # RedBeat writes the time on the wall, and an autumn night has the same time twice.
            obj = obj.astimezone(UTC)
        return super().default(obj)


class Decoder(RedBeatJSONDecoder):
    """RedBeat's, plus the registered classes."""

    def dict_to_object(self, d: dict[str, Any]) -> Any:
        cls = _registered.get(d.get("__type__", ""))
        if cls is None:
            return super().dict_to_object(d)
        return cls(**{name: value for name, value in d.items() if name != "__type__"})


def dumps(value: Any) -> str:
    """`value` as JSON, schedules and times included. Raises TypeError for an unregistered schedule class."""
    return json.dumps(value, cls=Encoder, sort_keys=True)


def loads(text: str) -> Any:
    """The inverse of `dumps`."""
    return json.loads(text, cls=Decoder)
