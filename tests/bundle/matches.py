"""What a pattern finds in a file, and a failure where it finds less than is there: a loop over nothing passes."""

import re
from typing import Any


def matches(pattern: str, text: str, least: int) -> list[Any]:
    """All matches of a pattern, `^` and `$` at lines, as `re.findall` gives them.

    Args:
        least: how many there are at least, counted by hand when the test was written.

    Raises:
        AssertionError: there are fewer, so the pattern has lost what it looked for.
    """
    found = re.findall(pattern, text, re.MULTILINE)
    assert len(found) >= least, f"{pattern!r} is found {len(found)} times, and is there {least} times or more"
    return found
