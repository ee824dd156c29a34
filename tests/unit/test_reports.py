"""Reports of the demo: one row for each task, and not more than are worth keeping."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("demo", reason="it tests app/demo")
APP = Path(__file__).resolve().parents[2] / "app"


def manage(folder: Path, *arguments: str) -> str:
    """The output of manage.py with a database of its own."""
    env = os.environ | {"RUN_DIR": str(folder), "SECRET_KEY": "u" * 50, "REDIS_PASSWORD": "unused"}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=APP, env=env, capture_output=True, text=True, check=True).stdout


def test_a_task_that_runs_twice_leaves_one_report(tmp_path: Path) -> None:
    manage(tmp_path, "migrate", "--verbosity", "0")
    script = (
        "from demo.store import KEEP, keep_report, reports\n"
        "for task in ['first', 'first', *map(str, range(KEEP))]: keep_report('seattle-weather', task, {'n': task})\n"
        "kept = [report.task_id for report in reports('seattle-weather')]\n"
        "from demo.models import Report\n"
        "assert kept == [str(n) for n in reversed(range(KEEP))], kept\n"
        "assert Report.objects.count() == KEEP\n"
        "keep_report('seattle-weather', '0', {'n': 'again'}); assert Report.objects.count() == KEEP\n"
        "print('fine')"
    )

    assert manage(tmp_path, "shell", "-c", script).splitlines()[-1] == "fine"


def test_a_migration_is_there_for_every_change_of_the_models(tmp_path: Path) -> None:
    assert "No changes" in manage(tmp_path, "makemigrations", "--check", "--dry-run")
