"""Who wins in the configuration of a project's Celery app: the stack, then the environment, the project, the defaults.

The project may have made its settings in any of Celery's ways, and may change them later. So nothing of it is
replaced: the stack's values lie above whatever the project's are, and the stack's defaults below them.
"""

import os
from collections.abc import Mapping
from typing import Any

from celery.app.utils import Settings as CelerySettings

# Celery reads these variables before every setting. A project that reads one into its settings has it there too.
VARIABLES = {
    "broker_url": "CELERY_BROKER_URL",
    "broker_read_url": "CELERY_BROKER_READ_URL",
    "broker_write_url": "CELERY_BROKER_WRITE_URL",
    "result_backend": "CELERY_RESULT_BACKEND",
}


def _laid(name: str) -> Any:
    # `finalize` loads the settings where nobody has asked for them yet, and `lay` comes with that.
    return property(lambda conf: conf.finalize().__dict__["stack_above"][name])


class Settings(CelerySettings):
    """Celery's settings with a layer of the stack above and one below; made of Celery's own by `lay`."""

    broker_url = _laid("broker_url")
    broker_read_url = _laid("broker_read_url")
    broker_write_url = _laid("broker_write_url")
    result_backend = _laid("result_backend")


def adopt(conf: Any) -> None:
    """Have Celery's settings ask the stack's layers first, also those that are not loaded yet."""
    object.__setattr__(conf, "__class__", Settings)


def lay(conf: Any, above: Mapping[str, Any], below: Mapping[str, Any]) -> None:
    """Put the stack's values around those of `conf`, which are loaded; twice is as once.

    Args:
        above: what wins over the project, under Celery's lower-case names; the four of VARIABLES are among them.
        below: what the project wins over; Celery's own defaults lie under it.
    """
    # Celery writes changes into `changes`, which was the first map and is the project's.
    maps = [each for each in conf.maps if each is not conf.__dict__.get("stack_above")]
    maps = [each for each in maps if each is not conf.__dict__.get("stack_below")]
    conf.__dict__.update(stack_above=dict(above), stack_below=dict(below))
    conf.maps[:] = [conf.__dict__["stack_above"], *maps[:-1], conf.__dict__["stack_below"], maps[-1]]
    adopt(conf)


def called(conf: Any, name: str) -> str:
    """A setting as the project writes it: with the prefix of its namespace, or in small letters where it has none."""
    prefix = getattr(conf, "prefix", None) or ""
    return f"{prefix}{name}".upper() if prefix else name


def given(conf: Any, name: str, missing: Any = None) -> Any:
    """What the project itself says of a setting, in whichever way and under whichever of its names."""
    if value := os.environ.get(VARIABLES.get(name, "")):
        return value
    ours = [conf.__dict__.get("stack_above"), conf.__dict__.get("stack_below")]
    for mapping in conf.maps[:-1]:
        if any(mapping is each for each in ours):
            continue
        for key in conf._to_keys(name):
            if key in mapping:
                return mapping[key]
    return missing
