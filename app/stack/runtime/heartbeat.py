"""The sign of life of worker and beat: one small file, written by the main loop itself.

Its age says whether the loop turns, its text whether the process can work (`ready`, `standby`, `stopping`,
or what is missing). A thread watches the same loop: no turn for too long ends the process, so that the
runtime's restart policy is the one recovery from a hang.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from stack.runtime import native

logger = logging.getLogger(__name__)
ON_HANG = 20  # seconds that a hung process has for its last words


class Heartbeat:
    """Writes the file at most once a second and watches that it goes on being written.

    Args:
        path: the file; its folder is made.
        limit: seconds without a turn after which the process counts as hung.
        on_hang: called before the process ends with exit code 1; it must return soon.
    """

    def __init__(self, path: str, limit: int, on_hang: Callable[[], None] = lambda: None):
        self.path, self.limit, self.on_hang = path, limit, on_hang
        self.state = "starting"
        self._turned = self._written = 0.0
        self._stopping, self._writing = native.threading.Event(), native.threading.Lock()

    def start(self) -> None:
        """Write the first sign of life and start the watching thread."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._turned = time.monotonic()
        self.write(self.state)
        native.threading.Thread(target=self._watch, name="loop-watchdog", daemon=True).start()

    def turn(self, state: str) -> None:
        """Note one turn of the loop, and what it can do now."""
        self._turned = time.monotonic()
        if self._turned - self._written >= 1 or state != self.state:
            self.write(state)

    def stopping(self) -> None:
        """From here on the loop may stand still: a stop has its own limit, STOP_GRACE. Safe in a signal handler."""
        self._stopping.set()

    def remove(self) -> None:
        """The process ends in order: a check must not find a fresh file."""
        try:
            os.unlink(self.path)
        except OSError:
            pass

    def write(self, state: str) -> None:
        """Write the file now. Not from a signal handler: it may have interrupted this very method."""
        self.state, self._written = state, time.monotonic()
        try:
            with self._writing:
                with open(self.path + ".new", "w", encoding="utf-8") as file:
                    file.write(state)
                os.replace(self.path + ".new", self.path)
        except OSError as error:
            # A full disk must not end a worker; the probe will say what the file no longer does. On Windows a
            # file that a probe reads at this moment cannot be replaced; the next second's can.
            logger.warning("cannot write the heartbeat %s: %s", self.path, error)

    def _watch(self) -> None:
        previous = time.monotonic()
        while not self._stopping.wait(1):
            now = time.monotonic()
            if now - previous > 5:
                # The whole process stood still (a frozen container, a suspended laptop), not its loop.
                self._turned = now
            previous = now
            if (silent := now - self._turned) > self.limit:
                # In a thread of its own: it writes to the log and talks to Redis, and what the loop hangs on may
                # hold it too. The process ends all the same.
                words = native.threading.Thread(target=self._last_words, args=(silent,), name="on-hang", daemon=True)
                words.start()
                words.join(ON_HANG)
                os._exit(1)

    def _last_words(self, silent: float) -> None:
        logger.critical("the main loop has not turned for %.0f s: ending this process so that it is restarted", silent)
        self.on_hang()


_installed: list[Heartbeat] = []


def install(heartbeat: Heartbeat) -> Heartbeat:
    """Make `heartbeat` the one of this process and start it."""
    _installed[:] = [heartbeat]
    heartbeat.start()
    return heartbeat


def waiting(state: str | None = None) -> None:
    """A turn of the loop from inside a wait: in the state in which it was, unless the wait has its own."""
    if _installed and threading.current_thread() is threading.main_thread():
        _installed[0].turn(state or _installed[0].state)
