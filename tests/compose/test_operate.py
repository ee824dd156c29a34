"""`make shell`, `manage`, `logs` and `status` with TARGET=compose; the same as on a machine, and without a .venv."""

import re

import pytest

from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.verbs import Verbs, operates_django
from tests.waiting import wait_until

EVERYTHING = ("proxy", "web", "worker", "beat", "flower", "redis", "db")


@pytest.fixture
def make(stack: Compose) -> Verbs:
    return Verbs(stack.root, stack.env, "compose")


def test_djangos_commands_run_in_a_role_with_its_rights(make: Verbs) -> None:
    operates_django(make)


def test_the_logs_are_those_of_a_service(stack: Compose, make: Verbs, api: Client) -> None:
    task = api.run("add", 1, 1)["id"]
    done = make("logs", ROLE="worker", TAIL="all")
    assert task in done.stdout, done.stderr
    assert {line.partition("-")[0] for line in done.stdout.splitlines()} == {"worker"}
    assert len(make("logs", ROLE="web", TAIL="2").stdout.splitlines()) == 2
    assert "applying" in make("logs", ROLE="migrate", TAIL="all").stdout.lower()
    refused = make("logs", ROLE="workr")
    assert refused.returncode != 0
    assert (
        "ROLE=workr: it must be one of beat, db, flower, migrate, proxy, redis, secrets, web, worker" in refused.stderr
    )


def test_the_status_counts_who_is_ready_and_says_why_one_is_not(stack: Compose, make: Verbs) -> None:
    def all_ready() -> dict[str, list[str]]:
        code, rows, below = make.rows()
        assert (code, below) == (0, "")
        return rows

    stack.scale("worker", 2)
    try:
        rows = wait_until(all_ready, 30)
        assert {role: cells[1] for role, cells in rows.items()} == dict.fromkeys(EVERYTHING, "1 of 1") | {
            "worker": "2 of 2"
        }
        assert rows["web"][2] == f"django-celery-stack:{stack.project}"
    finally:
        stack.scale("worker", 1)

    stack.stop("redis")
    try:
        # At once, where the engine itself calls a container healthy until its check has failed three times.
        code, rows, below = make.rows()
        assert code != 0
        assert rows["redis"][:2] == ["0", "0 of 1"]
        assert rows["web"][:2] == ["1", "0 of 1"]
        assert f"{stack.project}-redis-1 is not ready: exited, exit code 0" in below
        # A deploy before this test gave the container another number.
        assert re.search(rf"{stack.project}-web-\d+ is not ready: web: /readyz answered 503", below), below
    finally:
        stack.start("redis")
        wait_until(all_ready, 60)


def test_djangos_commands_run_without_the_role_and_not_without_the_stack(stack: Compose, make: Verbs) -> None:
    stack.stop("beat")
    try:
        done = make("manage", ROLE="beat", ARGS="migrate --check")
        assert done.returncode == 0, done.stderr
        assert "beat is not up: in a container of its own" in done.stderr
    finally:
        stack.start("beat")

    other = Verbs(stack.root, stack.env | {"COMPOSE_PROJECT_NAME": f"{stack.project}-other"}, "compose")
    for verb in ("status", "logs", "shell"):
        done = other(verb)
        assert done.returncode != 0
        assert "not up: make up TARGET=compose" in done.stderr, done.stderr
