"""The table of roles: each one's command, and what stops it at start."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stack.runtime.env import BadValue
from stack.runtime.fitting import contradictions, max_delay, versions
from stack.runtime.roles import ROLES, argv, problems
from stack.runtime.variables import VARS
from tests.machine import patience

SERVICE = Path(__file__).parents[2] / "app" / "service.py"
GOOD = {"SECRET_KEY": "key", "REDIS_PASSWORD": "word", "FLOWER_PASSWORD": "flower-secret"}


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_command_of_this_python_and_no_secret_in_it(role: str) -> None:
    command = argv(role, GOOD)
    assert command[0] == sys.executable
    assert not set(GOOD.values()) & set(command)


def test_the_workers_command_carries_pool_queues_and_instance() -> None:
    command = argv("worker", {"WORKER_POOL": "threads", "WORKER_QUEUES": "default,mail", "INSTANCE": "worker-2"})
    assert command[command.index("-P") + 1] == "threads"
    assert command[command.index("-Q") + 1] == "default,mail"
    assert command[command.index("-n") + 1] == "worker-2@%h"


def test_green_pools_keep_gossip_without_which_they_die_with_redis() -> None:
    assert "--without-gossip" in argv("worker", {"WORKER_POOL": "prefork"})
    assert "--without-gossip" not in argv("worker", {"WORKER_POOL": "eventlet"})


def test_an_unknown_role_is_told_the_known_ones() -> None:
    with pytest.raises(BadValue, match="web, worker, beat, flower, migrate, wait"):
        argv("celery", GOOD)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_starts_with_nothing_but_its_secrets(role: str) -> None:
    assert problems(role, GOOD) == []


# What a kind of variable never accepts; a str, a path and most lists accept anything.
WRONG = {"int": "x", "bool": "x", "bind": "x", "networks": "x", "zone": "x", "redis": "x", "database": "x", "mail": "x"}
CELERYS = ("WEB_THREADS", "WORKER_CONCURRENCY", "RESULT_EXPIRES", "TIME_ZONE", "STOP_GRACE", "VISIBILITY_TIMEOUT")


def test_no_wrong_value_ends_web_in_a_traceback() -> None:
    wrong = {name: "x" if var.choices else WRONG.get(var.kind) for name, var in VARS.items()}
    tried = {name: text for name, text in wrong.items() if text}
    assert len(tried) >= 25
    assert [name for name, text in tried.items() if name not in str(problems("web", GOOD | {name: text}))] == []


@pytest.mark.parametrize("role", ROLES)
def test_a_wrong_value_in_celerys_configuration_stops_any_role_by_name(role: str) -> None:
    found = str(problems(role, GOOD | dict.fromkeys(CELERYS, "x")))
    assert [name for name in CELERYS if name not in found] == []


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    found = problems("worker", {"WORKER_POOL": "x", "STOP_GRACE": "y", "RUN_DIR": str(tmp_path)})
    assert [
        name for name in ("REDIS_PASSWORD", "SECRET_KEY", "STOP_GRACE", "WORKER_POOL") if name not in str(found)
    ] == []


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"VISIBILITY_TIMEOUT": "600", "TASK_TIME_LIMIT": "600"}, "VISIBILITY_TIMEOUT"),
        ({"RESULT_EXPIRES": "100"}, "RESULT_EXPIRES"),
        ({"WORKER_POOL": "solo", "WORKER_CONCURRENCY": "2"}, "WORKER_CONCURRENCY"),
    ],
)
def test_values_that_contradict_each_other_are_named(env: dict[str, str], named: str) -> None:
    assert [text for text in contradictions(env) if named in text]
    assert contradictions({}) == []


def test_a_pool_whose_package_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "pip install eventlet" in contradictions({"WORKER_POOL": "eventlet"})[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "foo"), ("EMAIL_URL", "foo"), ("WORKER_QUEUES", ","), ("EMAIL_PASSWORD_FILE", "no")],
)
def test_a_bad_value_ends_in_one_line_with_its_name(name: str, value: str, tmp_path: Path) -> None:
    env = GOOD | {"RUN_DIR": str(tmp_path), "PATH": os.environ["PATH"], name: value}
    done = subprocess.run(
        [sys.executable, SERVICE, "run", "worker"],
        env=env,
        capture_output=True,
        text=True,
        timeout=patience(20),
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch(rf"service: {name}[:=].*\n", done.stderr), done.stderr


def test_prefork_on_windows_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.runtime.fitting.CAN_FORK", False)
    assert "not enough values to unpack (expected 3, got 0)" in contradictions({"WORKER_POOL": "prefork"})[0]


def test_the_longest_delay_leaves_room_to_run_and_to_stop() -> None:
    assert max_delay({"VISIBILITY_TIMEOUT": "3600", "TASK_TIME_LIMIT": "600", "STOP_GRACE": "60"}) == 2940
    assert max_delay({"STOP_GRACE": "60"}, visible=36000, limit=3000) == 32940  # those of the project itself


def test_the_installed_redis_client_fits_and_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions() == []
    monkeypatch.setattr("importlib.metadata.version", lambda name: {"redis": "3.2.1"}.get(name, "5.7.0"))
    assert "redis 3.2.1 does not fit" in versions()[0]


@pytest.mark.parametrize("role", ROLES)
def test_a_redis_client_that_does_not_fit_stops_every_role_by_name(role: str, tmp_path: Path) -> None:
    """A real package, found before the installed one: what a team's own pin of redis leads to."""
    about = tmp_path / "redis-3.2.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: redis\nVersion: 3.2.1\n")
    (tmp_path / "redis.py").write_text("class StrictRedis: ...\n")
    env = GOOD | {"PYTHONPATH": str(tmp_path), "RUN_DIR": str(tmp_path), "PATH": os.environ["PATH"]}

    done = subprocess.run([sys.executable, SERVICE, "run", role], env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("service: redis 3.2.1 does not fit: it must be at least 6.4 and below 9.")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("env", "named"), [({"WORKER_QUEUES": "shop:mail"}, "colon"), ({"REMAP_SIGTERM": "SIGQUIT"}, "REMAP_SIGTERM")]
)
def test_what_would_lose_or_loop_a_task_stops_the_start(env: dict[str, str], named: str) -> None:
    assert named in " ".join(contradictions(env))
