"""Which scheduler the project chose, and what can be edited of it."""

from functools import lru_cache
from typing import Any

from celery import current_app
from celery.beat import Scheduler
from celery.utils.imports import load_extension_class_names, symbol_by_name
from redbeat import RedBeatScheduler

from stack.broker.configuration import BEAT_DEFAULT, BEAT_LAYER
from stack.broker.precedence import called

REDIS, DATABASE, SETTINGS = "redis", "database", "settings"


def name(app: Any = current_app) -> str:
    """The scheduler's name as the project gives it: `module:Class`, or one of Celery's short names."""
    given = app.conf.get("stack_beat_scheduler") or app.conf.get("beat_scheduler") or BEAT_DEFAULT
    if given == BEAT_LAYER:
        return BEAT_DEFAULT
    return given if isinstance(given, str) else f"{given.__module__}:{given.__qualname__}"


def load(app: Any = current_app) -> type[Any]:
    """The project's scheduler class.

    Raises:
        ValueError: there is none of that name, with what to do.
    """
    return _load(name(app), app.conf.get("stack_beat_scheduler"), called(app.conf, "beat_scheduler"))


@lru_cache(8)
def _load(wanted: str, given: Any, setting: str) -> type[Any]:
    if wanted == BEAT_DEFAULT:
        return RedBeatScheduler
    aliases = dict(load_extension_class_names("celery.beat_schedulers"))
    try:
        found = given if given and not isinstance(given, str) else symbol_by_name(wanted, aliases=aliases)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{setting}={wanted!r} cannot be imported ({error}): name it as module:Class, and install the "
            "package that has it; without the setting the stack's own scheduler is used."
        ) from error
    if not (isinstance(found, type) and issubclass(found, Scheduler)):
        raise ValueError(f"{setting}={wanted!r} is no subclass of celery.beat.Scheduler: name one that is.")
    return found


def kind(app: Any = current_app) -> str:
    """Where the entries are: REDIS (RedBeat's), DATABASE (django_celery_beat's rows), or the SETTINGS alone."""
    try:
        found = load(app)
    except ValueError:
        return SETTINGS
    if issubclass(found, RedBeatScheduler):
        return REDIS
    # By its name: the package need not be installed.
    if any(each.__module__ == "django_celery_beat.schedulers" for each in found.__mro__):
        return DATABASE
    return SETTINGS
