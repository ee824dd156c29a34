"""A task run in the process of its caller, as a team's own unit tests do: it needs no Redis."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import patience

pytest.importorskip("demo", reason="the tasks of app/demo are its examples")
APP = Path(__file__).parents[2] / "app"


def test_a_task_that_is_applied_here_needs_no_redis(tmp_path: Path) -> None:
    code = (
        "import django, os; os.environ['DJANGO_SETTINGS_MODULE'] = 'stack.settings'; django.setup();"
        "from django.core.management import call_command; call_command('migrate', verbosity=0);"
        "from demo.tasks import add, summarize; from stack.tasks import ping;"
        "print(add.apply((2, 3)).get(), ping.apply().get(), summarize.apply(('seattle-weather',)).get()['rows'])"
    )
    # Its database, which the report goes to, is its own; its Redis is nowhere.
    env = {"RUN_DIR": str(tmp_path), "SECRET_KEY": "u", "REDIS_PASSWORD": "u", "LOG_LEVEL": "ERROR"}
    env["REDIS_URL"] = "redis://127.0.0.1:1/0"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=APP,
        env=env,
        capture_output=True,
        text=True,
        timeout=patience(30),
        check=True,
    )
    assert done.stdout.split() == ["5", "pong", "1461"]
