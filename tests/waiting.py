"""The one way tests wait: for a condition, with a limit, saying what was seen last."""

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

from tests.machine import patience

T = TypeVar("T")


def wait_until(check: Callable[[], T], timeout: float, every: float = 0.2, promised: bool = False) -> T:
    """Call `check` until it returns something true, and return that.

    Args:
        check: may raise AssertionError or OSError, which count as "not yet".
        timeout: seconds; on a slow machine more, see tests/machine.py.
        promised: the limit is a promise to users, and the same on every machine.

    Raises:
        AssertionError: the time is up; the text has the last value or error.
    """
    limit, last = timeout if promised else patience(timeout), None
    end = time.monotonic() + limit
    while True:
        try:
            if last := check():
                return last
        except (AssertionError, OSError) as error:
            last = error  # type: ignore[assignment]
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit:g} s; last seen: {last!r}")
        time.sleep(every)


def stays(check: Callable[[], bool], seconds: float, every: float = 0.5) -> None:
    """Assert that `check` is true, again and again, for so long: where it is the time itself that is tested."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert check()
        time.sleep(every)


def best_of(measure: Callable[[], float], promise: float, tries: int = 3) -> None:
    """Assert that the best of several tries keeps a promise to users, in seconds: a busy machine only adds to it."""
    took: list[float] = []
    while len(took) < tries and (not took or took[-1] >= promise):
        took.append(measure())
    assert min(took) < promise, f"promised in {promise:g} s; took {', '.join(f'{each:.2f}' for each in took)}"


class Process(subprocess.Popen[str]):
    """A process for which the tests wait as long as this machine needs."""

    def wait(self, timeout: float | None = None) -> int:
        return super().wait(timeout and patience(timeout))
