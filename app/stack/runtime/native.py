"""The operating system's threads, also where eventlet has put green ones in their place.

What watches a loop must not run in it, and a signal handler may interrupt eventlet's hub itself, where nothing
green may wait. In a process without eventlet these are the standard library's own.
"""

import signal
import sys
from collections.abc import Callable
from typing import Any

# Called by the signal of a stop in a green worker, before anything that waits for its loop. They must not wait, and
# one that returns True has done all there is to do.
stop_hooks: list[Callable[[], bool]] = []


def _original(name: str) -> Any:
    if "eventlet" in sys.modules:
        from eventlet import patcher

        return patcher.original(name)
    return __import__(name)


threading: Any = _original("threading")
sleep: Any = _original("time").sleep


def is_green() -> bool:
    """Whether this process's own threads are green."""
    import threading as current

    return threading is not current


def break_is_interrupt() -> None:
    """Take Ctrl+Break as Ctrl+C: on Windows it is the one signal that a program can send to another's group.

    Left alone it ends a process at once, and a worker's tasks with it.
    """
    if hasattr(signal, "SIGBREAK") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGBREAK, _interrupt)


def _interrupt(_signum: int, frame: Any) -> None:
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)
