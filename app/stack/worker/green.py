"""Celery's command line on eventlet's green threads: `python -m stack.worker.green … worker … -P eventlet`.

Patched here and not by Celery, so that nothing is imported before; Celery finds `-P eventlet` and patches what
is patched already.
"""

import signal
import warnings
from typing import Any

# Its maintainers discourage new uses, at each start. deploy/windows/README.md says it once.
warnings.filterwarnings("ignore", "\\nEventlet is deprecated")

import eventlet  # noqa: E402
import eventlet.debug  # noqa: E402

eventlet.monkey_patch()
# When Redis comes back and every slot is busy, two green threads read one socket for a moment. eventlet takes that
# for a mistake and raises, which ends the worker: "Second simultaneous read on fileno".
eventlet.debug.hub_prevent_multiple_readers(False)

from stack.runtime import native  # noqa: E402

_set_handler = signal.signal
_STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGQUIT") if hasattr(signal, name)]


def set_handler(signum: int, handler: Any) -> Any:
    """As `signal.signal`, with the handler of a stop in a green thread of its own.

    A signal mostly interrupts the hub, where nothing may wait; Celery's handlers write to the console and talk to
    Redis, and ended in `RuntimeError: do not call blocking functions from the mainloop`.
    """
    if signum not in _STOPS or not callable(handler):
        return _set_handler(signum, handler)

    def handle(number: int, frame: Any) -> None:
        if not any(hook() for hook in native.stop_hooks):
            eventlet.spawn(handler, number, frame)

    return _set_handler(signum, handle)


if __name__ == "__main__":
    signal.signal = set_handler  # type: ignore[assignment]
    from celery.__main__ import main

    main()
