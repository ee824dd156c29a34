"""Starting a role with options: each is a variable, and both helps say so."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.roles.conftest import PROJECT, Redis, Role


def test_a_worker_starts_with_a_log_level_and_help_says_where_options_are(
    run_role: Callable[..., Role], redis_server: Redis
) -> None:
    quiet = run_role("worker", "quiet", LOG_LEVEL="ERROR").wait_ready()
    loud = run_role("worker", "loud", LOG_LEVEL="DEBUG").wait_ready()

    assert '"level": "info"' not in quiet.log.read_text()
    assert '"level": "debug"' in loud.log.read_text()
    told = subprocess.check_output([sys.executable, PROJECT / "app/service.py", "help"], text=True)
    assert "run web|worker|beat|flower|migrate|wait" in told
    assert ".env.example" in told
    assert "#LOG_LEVEL=INFO" in (PROJECT / ".env.example").read_text()


@pytest.mark.slow
def test_lines_are_for_people_with_log_format_console(run_role: Callable[..., Role]) -> None:
    worker = run_role("worker", LOG_FORMAT="console").wait_ready()

    lines = worker.log.read_text().splitlines()
    assert any("ready" in line for line in lines)
    assert not [line for line in lines if line.startswith("{")]
