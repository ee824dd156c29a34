"""Who may hold a thread of the web role without working: a `?wait=`, a slow upload, a client that reads slowly.

gunicorn's master imports this module before Django exists, so it needs none of it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stack.runtime.env import environment, get

THREADS: int = get("WEB_THREADS", environment())
UPLOADS = max(1, THREADS // 4)


class Places:
    """Places for those who wait, all kinds together never more than leave threads free for everybody else.

    Args:
        most: how many of this kind hold a thread at a time.
    """

    together = threading.BoundedSemaphore(THREADS - max(1, THREADS // 4))

    def __init__(self, most: int):
        self.mine = threading.BoundedSemaphore(most)

    def take(self) -> bool:
        """Take a place if one is free; never waits. Whoever has one ends it with `free`."""
        if not self.mine.acquire(blocking=False):
            return False
        if self.together.acquire(blocking=False):
            return True
        self.mine.release()
        return False

    def free(self) -> None:
        """Release a place."""
        self.together.release()
        self.mine.release()

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Whether a place was free; it is held meanwhile."""
        taken = self.take()
        try:
            yield taken
        finally:
            if taken:
                self.free()


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
