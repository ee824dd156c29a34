"""How soon a task whose process died is tried again."""

from datetime import timedelta
from typing import Any

import pytest

from stack.worker.outcomes import pause


@pytest.mark.parametrize(("own", "seconds"), [(180, 5), (0, 0), (1.5, 1.5), (None, 5), (timedelta(minutes=3), 5)])
def test_the_pause_is_a_short_one_whatever_a_task_says(own: Any, seconds: float) -> None:
    assert pause(own) == seconds
