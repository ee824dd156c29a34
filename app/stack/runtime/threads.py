"""Places for those who hold a thread of the web role without working.

gunicorn's master imports this module before Django exists, so it needs none of it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stack.runtime.env import environment, get

THREADS: int = get("WEB_THREADS", environment())


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
