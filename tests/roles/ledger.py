"""The ledger: a plain project whose tasks read PostgreSQL, its worker, and what became of its tasks."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.machine import patience
from tests.roles.conftest import PROJECT, Redis, Role
from tests.roles.postgres import Postgres
from tests.waiting import wait_until

AWAY = "takes no tasks: the database 'default' is away"
START = (
    "import json, stack.celery, django; django.setup()\n"
    "from celery import chord; from celery.result import AsyncResult; from ledger.tasks import *\n"
)


class Ledger:
    """Over a Redis and a PostgreSQL of the test's own."""

    def __init__(self, server: Redis, database: Postgres, start: Callable[..., Role], folder: Path, **variables: str):
        self.redis, self.database, self._start = server.client, database, start
        self.variables = {
            "PROJECT_DIR": "../tests/roles/projects/ledger",
            "PROJECT_SETTINGS": "ledger.settings",
            "DATABASE_URL": "",
            "LEDGER_PORT": str(database.port),
        } | variables
        shell = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self.env = shell | server.known(folder) | {"PYTHONPATH": str(PROJECT / "app")} | self.variables

    def start(self, role: str, **variables: str) -> Role:
        return self._start(role, **self.variables | variables)

    def role(self, role: str, **variables: str) -> Role:
        return self.start(role, **variables).wait_ready()

    def python(self, *arguments: str) -> str:
        command = [sys.executable, "-W", "ignore", *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=patience(60), check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def migrate(self) -> None:
        self.python(str(PROJECT / "app/manage.py"), "migrate")

    def run(self, code: str) -> Any:
        """What code of the project prints, as JSON."""
        return json.loads(self.python("-c", f"{START}print(json.dumps({code}))").splitlines()[-1])

    def record(self, task_id: str) -> dict[str, str]:
        return dict(self.redis.hgetall(f"stack:task:{task_id}"))

    def stored(self, task_id: str) -> str:
        """What Celery says of a task whose result is in Redis."""
        return str(json.loads(self.redis.get(f"celery-task-meta-{task_id}") or '{"status": "PENDING"}')["status"])

    def ended(self, *task_ids: str, within: float = 30) -> list[str]:
        """The states of these tasks, once all have ended."""

        def states() -> list[str]:
            found = [self.stored(task_id) for task_id in task_ids]
            assert set(found) <= {"SUCCESS", "FAILURE"}, found
            return found

        return wait_until(states, within)

    def psql(self, sql: str) -> None:
        command = [str(self.database.bin / "psql"), "-h", "127.0.0.1", "-p", str(self.database.port), "-U", "app"]
        subprocess.run([*command, "-c", sql, "postgres"], check=True, capture_output=True)
