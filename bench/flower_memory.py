"""What Flower takes in memory after 50,000 tasks, with a Redis of its own: `make bench`."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.roles.conftest import PROJECT, Redis, Role, free_port
from tests.waiting import wait_until

TASKS = 50_000


def mebibytes(flower: Role) -> float:
    """Flower's resident memory."""
    return float(psutil.Process(flower.process.pid).memory_info().rss) / 2**20


def feed(flower: Role, count: int) -> str:
    """Feed the events of so many tasks; returns the last one's id."""
    command = [sys.executable, "-W", "ignore", "-m", "bench.events", str(count)]
    return subprocess.check_output(command, cwd=PROJECT, env=flower.env, text=True).split()[-1]


def knows(port: int, task_id: str) -> Any:
    """What Flower knows of a task; an AssertionError while that is nothing."""
    url, auth = f"http://127.0.0.1:{port}/api/task/info/{task_id}", ("flower", "f" * 20)
    answer = requests.get(url, auth=auth, timeout=30)
    assert answer.status_code == 200, answer.status_code
    assert answer.json()["state"] == "SUCCESS", answer.json()["state"]
    return answer.json()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        server = Redis(folder)
        flower = Role("flower", server, folder, "flower", FLOWER_BIND=f"127.0.0.1:{port}")
        try:
            flower.wait_ready()
            idle = highest = mebibytes(flower)
            for _ in range(TASKS // 10_000):
                last = feed(flower, 10_000)
                wait_until(lambda last=last: knows(port, last), 120)  # type: ignore[misc]
                highest = max(highest, mebibytes(flower))
            print(f"Flower: {idle:.0f} MiB idle, {highest:.0f} MiB at most while it heard of {TASKS:,} tasks")
        finally:
            flower.end()
            server.stop()


if __name__ == "__main__":
    main()
