"""`?wait=`: hold an answer until a task or a canvas is ready."""

import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings

from stack.env import get

# Waiters may take half of this process's threads; the rest stay free for everybody else.
WAITERS = threading.BoundedSemaphore(get("WEB_THREADS", settings.ENV) // 2)


def until_ready(read: Callable[[], dict[str, Any]], seconds: float, longest_pause: float = 0.05) -> dict[str, Any]:
    """What `read` gives once it is ready or the time is up; at once where too many wait already.

    Args:
        read: gives the state, with a key "ready".
        seconds: how long to hold the answer.
        longest_pause: seconds between two looks; the first come sooner after each other.
    """
    state = read()
    if not seconds or state["ready"] or not WAITERS.acquire(blocking=False):
        return state
    try:
        end, pause = time.monotonic() + seconds, 0.05
        while not state["ready"] and (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(longest_pause, pause * 1.3)
            state = read()
        return state
    finally:
        WAITERS.release()
