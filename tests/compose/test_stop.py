"""Every stop is in order: nothing is cut off, lost or done twice, and nobody waits for a process that would not end."""

from pathlib import Path

import pytest

from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.waiting import wait_until

MAINS = {
    "proxy": "haproxy",
    "web": "gunicorn",
    "worker": "worker",
    "beat": "beat",
    "flower": "flower",
    "redis": "redis-server",
    "db": "postgres",
}


@pytest.mark.parametrize(("service", "word"), MAINS.items())
def test_the_first_process_is_the_role_itself_and_no_shell(stack: Compose, service: str, word: str) -> None:
    for container in stack.containers(service):
        line = Path(f"/proc/{stack.pid(container)}/cmdline").read_text().split("\0")
        assert Path(line[0].partition(" ")[0].rstrip(":")).name not in ("sh", "bash", "dash", "tini", "docker-init")
        assert word in " ".join(line), line


@pytest.mark.parametrize(
    "role", ["web", "worker", *(pytest.param(role, marks=pytest.mark.slow) for role in ("beat", "flower"))]
)
def test_docker_stop_ends_a_role_in_order(stack: Compose, role: str) -> None:
    (container,) = stack.containers(role)
    stack.stop(role)
    state = stack.inspect(container)["State"]
    stack.start(role)

    assert state["ExitCode"] == 0  # 137 where it was killed at the end of its grace


@pytest.mark.parametrize("role", ["migrate", "wait"])
def test_docker_stop_ends_a_one_shot_that_waits_for_the_database(stack: Compose, role: str) -> None:
    """As PID 1 a process without a handler ignores TERM, and would take its whole grace to be killed."""
    nowhere = ["-e", "DATABASE_URL=postgres://app@no-such-host:5432/app"]
    run = ["run", "-d", "--no-deps", *nowhere, "migrate", role]
    container = stack.compose(*run).split()[-1]
    try:
        wait_until(lambda: "waiting" in (log := stack.run("docker", "logs", container)).stdout + log.stderr, 30)
        stack.run("docker", "stop", container)
        code = stack.inspect(container)["State"]["ExitCode"]
    finally:
        stack.run("docker", "rm", "--force", container)

    assert code == 143


def test_a_task_that_runs_while_the_stack_goes_down_is_done_once(stack: Compose, api: Client) -> None:
    before = api.counters("sleep")
    task_id = api.submit("sleep", 10)
    api.reaches(task_id, "STARTED")

    stack.down()
    stack.compose("up", "-d", "--wait")

    assert api.done(task_id, within=30)["state"] == "SUCCESS"
    # Had the worker not acknowledged it, it would stay there for an hour, and run again.
    wait_until(lambda: stack.redis_cli("HLEN", "unacked") == "0", 10)
    assert api.counters("sleep")["success"] - before["success"] == 1
