"""A project's log files where they cannot be written, as in an image: their lines go to standard output instead."""

import os
from typing import Any

STDOUT = "stdout"  # the stack's own handler: stack/runtime/logs.py


def usable(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """LOGGING without the handlers whose file cannot be opened, which would end every role at its start.

    A logger that has another handler keeps that one; one that would have none gets the stack's.

    Args:
        given: the project's LOGGING, which stays as it is.

    Returns:
        The same, and the path of each handler that is left out, by its name.
    """
    handlers = given.get("handlers") or {}
    lost = {name: str(path) for name, each in handlers.items() if (path := _file(each)) and not _opens(str(path), each)}
    if not lost:
        return given, {}
    both = given | {"handlers": {name: _without(each, lost) for name, each in handlers.items() if name not in lost}}
    if root := given.get("root"):
        both["root"] = _without(root, lost)
    both["loggers"] = {name: _without(logger, lost) for name, logger in (given.get("loggers") or {}).items()}
    return both, lost


def _file(handler: Any) -> Any:
    """The path that a handler names; None for one that is only looked up when logging is set up."""
    path = handler.get("filename") if isinstance(handler, dict) else None
    return None if str(path).startswith(("ext://", "cfg://")) else path


def _opens(path: str, handler: dict[str, Any]) -> bool:
    """Whether a handler can open its file; a class of the project's own may make the folder first."""
    place = path if os.path.exists(path) else os.path.dirname(os.path.abspath(path))
    if not str(handler.get("class", "")).startswith("logging."):
        while not os.path.exists(place) and place != os.path.dirname(place):
            place = os.path.dirname(place)
    return os.access(place, os.W_OK)


def _without(each: dict[str, Any], lost: dict[str, str]) -> dict[str, Any]:
    """A logger, or a handler that passes lines on to others: to a `target`, or to `handlers`."""
    if each.get("target") in lost:
        each = each | {"target": STDOUT}
    before = list(each.get("handlers") or ())
    after = [name for name in before if name not in lost]
    return each if after == before else each | {"handlers": after or [STDOUT]}
