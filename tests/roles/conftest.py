"""Real roles as processes of their own, against a Redis of their own; no supervisor, no HTTP."""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.machine import patience
from tests.waiting import Process, wait_until

PROJECT = Path(__file__).resolve().parents[2]
PASSWORD = "only-for-this-test"


# Below those that the kernel gives to whoever asks, and others for each process of the tests: while a test has its
# Redis stopped, another one must not get the port.
_ports = itertools.count(20000 + 2000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))


def free_port() -> int:
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable")


class Redis:
    """A redis-server that can be stopped, started again with its data, and frozen."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        self.start()

    def start(self, *more: str) -> None:
        """Return when it answers; `more` are options of redis-server."""
        program = subprocess.check_output(
            [sys.executable, PROJECT / "deploy/redis_server.py", "--find"], text=True
        ).strip()
        options = [
            "--port",
            str(self.port),
            "--requirepass",
            PASSWORD,
            "--dir",
            str(self.folder),
            "--bind",
            "127.0.0.1",
            "--appendfsync",
            "no",  # a stop writes all; waiting for the disk beside other tests would hold it up
            *more,
        ]
        with (self.folder / "redis.log").open("a") as log:
            self.process = Process([program, str(PROJECT / "k8s/base/redis.conf"), *options], stdout=log)
        self.client: Any = redis.Redis(port=self.port, password=PASSWORD, decode_responses=True, socket_timeout=5)
        wait_until(self._answers, 10)

    def known(self, folder: Path) -> dict[str, str]:
        """What a process of the product needs beside a role: where this Redis is, and a folder to run in."""
        return {
            "REDIS_URL": f"redis://default@127.0.0.1:{self.port}/0",
            "REDIS_PASSWORD": PASSWORD,
            "SECRET_KEY": "k" * 50,
            "RUN_DIR": str(folder),
            "LOG_LEVEL": "ERROR",
        }

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError as error:
            raise OSError(error) from error

    def stop(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(20)


class Role:
    """One role's process, with its log and its health check."""

    def __init__(self, role: str, redis_server: Redis, folder: Path, instance: str, **variables: str):
        self.role, self.log = role, folder / f"{instance}.log"
        self.heartbeat = folder / f"{instance}.heartbeat"
        self.env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")} | {
            "REDIS_URL": f"redis://default@127.0.0.1:{redis_server.port}/0",
            "REDIS_PASSWORD": PASSWORD,
            "SECRET_KEY": "k" * 50,
            "FLOWER_PASSWORD": "f" * 20,
            "RUN_DIR": str(folder),
            "INSTANCE": instance,
            "PYTHONPATH": str(PROJECT / "tests/roles/modules"),
            **variables,
        }
        command = [sys.executable, str(PROJECT / "app/service.py"), "run", role]
        with self.log.open("w") as log:
            self.process = Process(command, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def check(self, ready: bool = False) -> str | None:
        """None when the check passes, else its line."""
        command = [sys.executable, str(PROJECT / "app/service.py"), "check", self.role, *(["--ready"] if ready else [])]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=patience(10), check=False)
        assert done.returncode == (1 if done.stderr else 0), done
        return done.stderr.strip() or None

    def wait_ready(self, seconds: float = 40) -> "Role":
        def ready() -> bool:
            reason = self.check(ready=True)
            assert reason is None, f"{reason}; exit code {self.process.poll()}; log:\n{self.log.read_text()[-3000:]}"
            return True

        wait_until(ready, seconds, every=0.3)
        return self

    def end(self) -> None:
        # The whole session, so that no pool process is left behind a role that was frozen or killed.
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def run_role(tmp_path: Path, redis_server: Redis) -> Iterator[Callable[..., Role]]:
    """Start a role: run_role("worker", WORKER_POOL="solo"); all are ended after the test."""
    started: list[Role] = []

    def start(role: str, instance: str | None = None, server: Redis | None = None, **variables: str) -> Role:
        started.append(Role(role, server or redis_server, tmp_path, instance or role, **variables))
        return started[-1]

    yield start
    for role in started:
        role.end()


SENDER = """
import json, os, sys, django
from stack.celery import app  # before Django reads its settings, as in a role
django.setup()
for line in sys.stdin:
    name, args, options = json.loads(line)
    print("sent", app.send_task(name, args, **options).id, flush=True)
"""


@pytest.fixture
def send(redis_server: Redis, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Send a task as the product does; returns its id.

    One process of the product sends all of a test: its start takes most of a second of CPU.
    """
    env = os.environ | redis_server.known(tmp_path)
    pipe = subprocess.PIPE
    command = [sys.executable, "-W", "ignore", "-c", SENDER]
    with Process(command, cwd=PROJECT / "app", env=env, stdin=pipe, stdout=pipe, text=True) as sender:
        assert sender.stdin
        assert sender.stdout

        def send_task(name: str, *args: Any, **options: Any) -> str:
            sender.stdin.write(json.dumps([name, args, options]) + "\n")
            sender.stdin.flush()
            for line in sender.stdout:
                if line.startswith("sent "):
                    return line.split()[-1]
            raise AssertionError("the task was not sent; see what its process wrote above")

        yield send_task
        sender.stdin.close()
