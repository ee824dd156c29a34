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
    lost = {name: str(path) for name, each in handlers.items() if (path := _file(each)) and not _writable(str(path))}
    if not lost:
        return given, {}
    both = given | {"handlers": {name: each for name, each in handlers.items() if name not in lost}}
    if root := given.get("root"):
        both["root"] = _without(root, lost)
    both["loggers"] = {name: _without(logger, lost) for name, logger in (given.get("loggers") or {}).items()}
    return both, lost


def _file(handler: Any) -> Any:
    return handler.get("filename") if isinstance(handler, dict) else None


def _writable(path: str) -> bool:
    return os.access(path if os.path.exists(path) else os.path.dirname(os.path.abspath(path)), os.W_OK)


def _without(logger: dict[str, Any], lost: dict[str, str]) -> dict[str, Any]:
    before = list(logger.get("handlers") or ())
    after = [name for name in before if name not in lost]
    return logger if after == before else logger | {"handlers": after or [STDOUT]}
