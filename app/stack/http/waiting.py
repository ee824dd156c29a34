"""Who may hold a thread of the web role without working: a `?wait=`, a slow upload, a client that reads slowly.

gunicorn's master imports this module before Django exists, so it needs none of it.
"""

import time
from collections.abc import Callable
from typing import Any

from stack.runtime.threads import THREADS, Places

UPLOADS = max(1, THREADS // 4)
WAITERS = Places(THREADS // 2)
UPLOADERS = Places(UPLOADS)
SLOW_READERS = Places(THREADS)


def until_ready(read: Callable[[], dict[str, Any]], seconds: float, longest_pause: float = 0.05) -> dict[str, Any]:
    """What `read` gives once it is ready or the time is up; at once where too many wait already.

    Args:
        read: gives the state, with a key "ready".
        seconds: how long to hold the answer.
        longest_pause: seconds between two looks; the first come sooner after each other.
    """
    state = read()
    if not seconds or state["ready"]:
        return state
    with WAITERS.held() as may_wait:
        end, pause = time.monotonic() + seconds, 0.05
        while may_wait and not state["ready"] and (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(longest_pause, pause * 1.3)
            state = read()
    return state
