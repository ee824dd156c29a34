"""Roles and the development profile without what Windows does not have; see modules/sitecustomize.py."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.roles.conftest import PROJECT, Redis, Role, redis_server, send

__all__ = ["BREAK", "redis_server", "send"]
BREAK = 10  # Ctrl+Break, of modules/sitecustomize.py
HANG = 12
WITHOUT_POSIX = str(PROJECT / "tests" / "windows" / "modules")


@pytest.fixture
def run_worker(tmp_path: Path, redis_server: Redis) -> Iterator[Callable[..., Role]]:
    """Start a worker by the pool's name."""
    started: list[Role] = []

    def start(pool: str, instance: str = "worker", **variables: str) -> Role:
        variables = {"WORKER_POOL": pool, "PYTHONPATH": WITHOUT_POSIX} | variables
        started.append(Role("worker", redis_server, tmp_path, instance, **variables))
        return started[-1]

    yield start
    for role in started:
        role.end()


def press(role: Role) -> None:
    """Ctrl+Break for the whole process group, as the console sends it: `service.py run` waits for a child there."""
    os.killpg(role.process.pid, BREAK)
