"""The JSON in which beat keeps every schedule, and the classes beyond Celery's interval and crontab.

A project's own class needs nothing of ours: it is stored as pickle would, by the class and the arguments that its
`__reduce__` gives (Celery's own schedules have one; Celery's PersistentScheduler asks for the same). It is made again
only where an entry of the settings (CELERY_BEAT_SCHEDULE) has a schedule of this very class: what stands in Redis alone
can name no code. One that cannot be stored stops beat at start, by name: stored as something else it would run at the
wrong times without a word.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import current_app
from celery.schedules import BaseSchedule, crontab, schedule, solar
from redbeat.decoder import RedBeatJSONDecoder, RedBeatJSONEncoder
from redbeat.schedules import rrule

from stack.state.clocks import Crontab

_KNOWN_TO_REDBEAT = (schedule, crontab, Crontab, rrule)


class Unknown(schedule):
    """What stands for a schedule whose class this version does not know; it is stored again as it was."""

    def __init__(self, stored: dict[str, Any]):
        super().__init__(3600.0)
        self.stored = stored

    def __repr__(self) -> str:
        return f"<the unknown class {self.stored.get('__type__')}>"


class Encoder(RedBeatJSONEncoder):
    """RedBeat's, plus other classes; RedBeat alone stores each of these as a plain interval."""

    def default(self, obj: Any) -> Any:
        if isinstance(obj, Unknown):
            return obj.stored
        if isinstance(obj, BaseSchedule) and type(obj) not in _KNOWN_TO_REDBEAT:
            return _stored(obj)
        if isinstance(obj, timedelta):
            return {"__type__": "timedelta", "seconds": obj.total_seconds()}
        if isinstance(obj, datetime) and obj.tzinfo:
            # RedBeat writes the time on the wall, and an autumn night has the same time twice.
            obj = obj.astimezone(UTC)
        return super().default(obj)


def _stored(value: BaseSchedule) -> dict[str, Any]:
    cls = type(value)
    try:
        made, arguments, *state = value.__reduce__()
        # A crontab's state is what it was given beside its fields: a clock or an app, which no JSON has.
        if made is cls and not any(state):
            return {"__type__": name_of(cls), "args": json.loads(json.dumps(arguments, cls=Encoder))}
    except (TypeError, ValueError):
        pass
    raise TypeError(
        f"a schedule of the class {name_of(cls)} cannot be stored: give the class a `__reduce__` that returns the "
        "class and a tuple of its arguments, which JSON can hold"
    )


def name_of(cls: type[Any]) -> str:
    """The dotted name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _classes() -> dict[str, type[Any]]:
    """The classes of which a schedule may be made: Celery's, and those in the entries of the settings."""
    found: list[type[Any]] = [solar]
    for entry in (current_app.conf.beat_schedule or {}).values():
        found.append(type(entry["schedule"] if isinstance(entry, dict) else entry.schedule))
    return {name_of(cls): cls for cls in found if issubclass(cls, BaseSchedule)}


class Decoder(RedBeatJSONDecoder):
    """RedBeat's, plus what Encoder adds to it."""

    def dict_to_object(self, d: dict[str, Any]) -> Any:
        kind = d.get("__type__", "")
        if kind == "timedelta":
            return timedelta(seconds=d["seconds"])
        if isinstance(kind, str) and (cls := _classes().get(kind)):
            return cls(*d["args"])
        return super().dict_to_object(d)


def dumps(value: Any) -> str:
    """`value` as JSON, schedules and times included. Raises TypeError for a schedule that cannot be stored."""
    return json.dumps(value, cls=Encoder, sort_keys=True)


def loads(text: str) -> Any:
    """The inverse of `dumps`."""
    return json.loads(text, cls=Decoder)
