"""The one way tests wait: for a condition, with a limit, saying what was seen last."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(check: Callable[[], T], timeout: float, every: float = 0.1) -> T:
    """Call `check` until it returns something true, and return that.

    Args:
        check: may raise AssertionError or OSError, which count as "not yet".
        timeout: seconds.

    Raises:
        AssertionError: the time is up; the text has the last value or error.
    """
    end, last = time.monotonic() + timeout, None
    while True:
        try:
            if last := check():
                return last
        except (AssertionError, OSError) as error:
            last = error  # type: ignore[assignment]
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s; last seen: {last!r}")
        time.sleep(every)


def stays(check: Callable[[], bool], seconds: float, every: float = 0.5) -> None:
    """Assert that `check` is true, again and again, for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert check()
        time.sleep(every)
