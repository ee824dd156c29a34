"""What is noted of a task as it is published."""

from datetime import UTC, datetime, timedelta

import pytest

from stack.state import records


@pytest.mark.parametrize(("seconds", "said"), [(3000, False), (4000, True)])
def test_a_task_that_is_due_after_the_visibility_timeout_is_told_of(
    seconds: int, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", logger="stack.state.records")
    commands: list[tuple[object, ...]] = []
    eta = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    records.note(lambda *command: commands.append(command), {"id": "1", "task": "report", "eta": eta})
    assert ("report[1] is due in" in caplog.text) is said
    assert commands[-1][0] == "expire"
