"""The development profile as a user meets it: one command, the page, every kind of task, one Ctrl+C."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.supervisor import SHELL, copy_checkout
from tests.machine import patience
from tests.roles.conftest import PASSWORD, PROJECT, Redis, free_port
from tests.waiting import Process, wait_until
from tests.windows.conftest import BREAK, WITHOUT_POSIX

pytestmark = pytest.mark.slow

READY = "Ctrl+C stops everything"
ROLES = ("web", "worker", "beat", "flower")


class Dev:
    """dev.py in a folder whose name a URL or a shell would have to escape."""

    def __init__(self, folder: Path, **variables: str):
        self.run, self.log = folder / "my shop\\run #1 100%", folder / "console.log"
        self.web, self.flower = free_port(), free_port()
        env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")} | {
            "RUN_DIR": str(self.run),
            "WEB_BIND": f"127.0.0.1:{self.web}",
            "FLOWER_BIND": f"127.0.0.1:{self.flower}",
            "REDIS_PORT": str(free_port()),
            "PYTHONPATH": WITHOUT_POSIX,
            **variables,
        }
        with self.log.open("w") as log:
            self.process = Process(
                [sys.executable, str(PROJECT / "deploy/windows/dev.py")],
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_ready(self) -> "Dev":
        def ready() -> bool:
            assert self.process.poll() is None, self.said
            return READY in self.said

        try:
            wait_until(ready, 120, every=0.3)
        except AssertionError:
            raise AssertionError(self.said[-6000:]) from None
        return self

    def call(self, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.web}{path}"
        request = urllib.request.Request(url, data, {"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=patience(40)) as answer:
            return json.load(answer)

    def result(self, path: str, body: Any) -> Any:
        done = self.call(self.call(path, body)["url"] + "?wait=30")
        assert done["successful"], done
        return done["result"]

    def left_behind(self) -> list[str]:
        """Every process that still has this RUN_DIR in its environment."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"RUN_DIR={self.run}".encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text())
            except OSError:
                continue
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(100)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Callable[..., Dev]]:
    started: list[Dev] = []

    def start(**variables: str) -> Dev:
        started.append(Dev(tmp_path, **variables))
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_one_command_runs_every_kind_of_task_and_one_ctrl_c_ends_it(dev: Callable[..., Dev]) -> None:
    stack = dev(REDIS_URL="").wait_ready()
    assert "An embedded one (fakeredis) serves from memory" in stack.said
    assert "add(2, 3) = 5, over HTTP, Redis and a worker" in stack.said
    assert "EventletDeprecationWarning" not in stack.said

    rows = b"day,rain\r\nmon,1\r\ntue,3\r\n"
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="rain.csv"\r\n\r\n'
    stored = stack.call("/api/datasets", head + rows + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")
    for _ in range(4):  # more than there are slots, so that green threads follow each other on connections
        assert stack.result("/api/tasks/summarize", {"args": [stored["id"]]})["rows"] == 2
    adds = [{"name": "add", "args": [1, 2]}, {"name": "add", "args": [3, 4]}]
    assert stack.result("/api/canvas/group", {"tasks": adds}) == [3, 7]
    assert stack.result("/api/canvas/chord", {"header": adds, "body": {"name": "xsum"}}) == 10
    assert stack.result("/api/tasks/flaky", {"args": [1]})["attempts"] == 2
    assert "same thread" not in stack.said
    assert worker_connections_to(stack.run / "db.sqlite3", stack) == 0

    password = (stack.run / "secrets/flower/flower_password").read_text().strip()
    login = base64.b64encode(f"flower:{password}".encode()).decode()
    flower = urllib.request.Request(
        f"http://127.0.0.1:{stack.flower}/api/workers?refresh=1", headers={"Authorization": f"Basic {login}"}
    )

    def workers() -> list[str]:
        with urllib.request.urlopen(flower, timeout=patience(40)) as answer:
            return list(json.load(answer))

    # Flower gives a worker one second to answer.
    wait_until(lambda: workers() == [f"worker@{os.uname().nodename}"], 30)

    os.kill(pid_of("worker", stack), signal.SIGKILL)
    wait_until(lambda: "worker ended by itself with exit code -9; it starts again" in stack.said, 20)
    assert stack.result("/api/tasks/add", {"args": [20, 22]}) == 42

    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(60) == 0
    assert stack.left_behind() == []
    assert "by force" not in stack.said
    assert stack.said.count("Traceback") == 0


@pytest.mark.parametrize("pool", ["threads"])
def test_it_uses_the_redis_of_redis_url_and_ctrl_break_ends_it_too(
    dev: Callable[..., Dev], redis_server: Redis, pool: str
) -> None:
    url = f"redis://default@127.0.0.1:{redis_server.port}/0"
    stack = dev(REDIS_URL=url, REDIS_PASSWORD=PASSWORD, WORKER_POOL=pool).wait_ready()
    assert "embedded" not in stack.said
    running = stack.call("/api/tasks/sleep", {"args": [5]})["id"]
    wait_until(lambda: redis_server.client.hlen("unacked") == 1, 20)
    stack.process.send_signal(BREAK)
    assert stack.process.wait(90) == 0
    assert stack.left_behind() == []
    assert json.loads(redis_server.client.get(f"celery-task-meta-{running}"))["status"] == "SUCCESS"


def test_a_backlog_from_before_is_no_reason_not_to_start(
    dev: Callable[..., Dev], redis_server: Redis, send: Callable[..., str]
) -> None:
    for _ in range(4):
        send("sleep", 60)
    url = f"redis://default@127.0.0.1:{redis_server.port}/0"
    variables = {"WORKER_POOL": "threads", "WORKER_CONCURRENCY": "1", "QUEUE_LIMIT": "2", "STOP_GRACE": "20"}
    stack = dev(REDIS_URL=url, REDIS_PASSWORD=PASSWORD, **variables).wait_ready()
    assert "every role is ready; /api/tasks/add: " in stack.said
    assert "QUEUE_LIMIT is 2" in stack.said


def test_on_a_fresh_machine_the_first_start_makes_the_environment() -> None:
    checkout = copy_checkout()
    try:
        (checkout / ".venv").unlink()
        command = [getattr(sys, "_base_executable", sys.executable), "deploy/windows/dev.py"]
        # What runs inside stops at a Redis that is not there; it has imported all that was installed by then.
        env = {name: os.environ[name] for name in SHELL if name in os.environ} | {"REDIS_URL": "redis://127.0.0.1:1/0"}
        first, second = (
            subprocess.run(
                command, cwd=checkout, env=env, capture_output=True, text=True, timeout=patience(280), check=False
            )
            for _ in range(2)
        )
    finally:
        shutil.rmtree(checkout)
    assert "making .venv ..." in first.stdout, first.stderr
    assert "installing the locked requirements into .venv" in first.stdout
    assert "installing" not in second.stdout
    for run in (first, second):
        assert run.returncode == 1
        assert "REDIS_URL=redis://127.0.0.1:1/0: it does not answer" in run.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WORKER_POOL": "prefork"}, "not enough values to unpack (expected 3, got 0)"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "REDIS_URL=redis://127.0.0.1:1/0: it does not answer"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(
    variables: dict[str, str], said: str, dev: Callable[..., Dev]
) -> None:
    stack = dev(**variables)
    assert stack.process.wait(60) == 1
    assert said in stack.said
    assert "Traceback" not in stack.said


def test_a_redis_that_wants_a_password_says_what_to_set(dev: Callable[..., Dev], redis_server: Redis) -> None:
    stack = dev(REDIS_URL=f"redis://default@127.0.0.1:{redis_server.port}/0")
    assert stack.process.wait(60) == 1
    assert "it wants another password of user default" in stack.said
    assert "REDIS_PASSWORD_FILE" in stack.said


def pid_of(role: str, stack: Dev) -> int:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"RUN_DIR={stack.run}".encode() in variables and f"INSTANCE={role}".encode() in variables:
            return int(process.name)
    raise AssertionError(f"{role} does not run: {stack.said[-2000:]}")


def worker_connections_to(file: Path, stack: Dev) -> int:
    """How many files of that name the worker holds open."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid_of('worker', stack)}/fd").iterdir() if link.is_symlink()]
    return len([link for link in links if re.match(re.escape(str(file)) + "$", link)])
