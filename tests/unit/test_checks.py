"""What a check makes of a heartbeat, and what it costs to ask."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stack.runtime.checks import check

SERVICE = Path(__file__).parents[2] / "app" / "service.py"


@pytest.mark.parametrize(
    ("age", "told"),
    [(0, None), (44, None), (46, "has not turned for 46 s"), (-3, None), (-10, "10 s in the future")],
)
def test_a_heartbeat_is_a_sign_of_life_while_it_is_fresh_by_any_clock(
    age: int, told: str | None, tmp_path: Path
) -> None:
    beat = tmp_path / "worker.heartbeat"
    beat.write_text("ready")
    moment = time.time() - age
    os.utime(beat, (moment, moment))

    reason = check("worker", {"RUN_DIR": str(tmp_path)})

    assert reason is None if told is None else told in str(reason)


@pytest.mark.parametrize("role", ["web", "worker", "beat", "flower"])
def test_a_check_imports_nothing_that_costs_time(role: str, tmp_path: Path) -> None:
    (tmp_path / f"{role}.heartbeat").write_text("ready")
    env = {"RUN_DIR": str(tmp_path), "REDIS_PASSWORD": "u", "REDIS_PORT": "1", "WEB_BIND": "127.0.0.1:1"}
    command = [sys.executable, "-X", "importtime", SERVICE, "check", role, "--ready"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line]
    imported = {*names, *(name.partition(".")[0] for name in names)}
    assert {"stack", "_socket"} <= imported, done.stderr[-500:]
    costly = {"django", "celery", "kombu", "redis", "argparse", "http", "socket", "ssl", "typing", "importlib.metadata"}
    assert not imported & costly
