"""How slow this machine is: a limit that is seconds of a machine grows with it, and a promise to users does not.

The limits in the tests were set on a machine that takes REFERENCE seconds for `piece`. One that takes twice as long
gets twice the time; a faster one gets no less, since most of a limit is waiting for others.
"""

import contextlib
import os
import time
from pathlib import Path

REFERENCE = 0.075  # seconds for `piece`: 2 cores of a server processor, Python 3.11
VARIABLE = "TEST_MACHINE_FACTOR"


def piece() -> int:
    """A fixed piece of work for the interpreter, of the kinds that a starting role does: calls, dicts, strings."""
    words: dict[str, int] = {}
    for number in range(400_000):
        word = f"key-{number % 1000}"
        words[word] = words.get(word, 0) + len(word)
    return sum(words.values())


def measure() -> float:
    """How many times as long as REFERENCE this machine takes for `piece`, best of three; at least 1."""
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        piece()
        took.append(time.perf_counter() - begun)
    return max(1.0, min(took) / REFERENCE)


def settle() -> float:
    """Measure once, before any test, and tell the processes of pytest-xdist by an environment variable."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = f"{measure():.2f}"
    return factor()


def factor() -> float:
    """How much longer than written a limit of this machine is; 1 outside a test run."""
    return float(os.environ.get(VARIABLE, "1"))


def ahead_of_others(pid: int) -> None:
    """Let the session of a process have the CPU before everybody else, where this user may do that.

    For what is promised in seconds: the promise is that of a machine which does nothing else meanwhile. Linux shares
    the CPU between sessions first, and only within one by the processes' nice values: sched(7), "autogroup".
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-15")


def patience(limit: float) -> float:
    """A limit, in any unit, as long as this machine needs it."""
    return limit * factor()
