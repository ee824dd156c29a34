"""A machine's operator: what the verbs say and do, as deploy/vm.md and the README have it."""

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.conftest import Stopped
from tests.e2e.supervisor import ROLES, Supervisor, commit
from tests.waiting import wait_until


@pytest.fixture
def up_again(vm: Supervisor) -> Iterator[None]:
    """Whatever the test did, the stack runs afterwards."""
    yield
    if not vm.pids_or_none():
        vm.up()


def recipe(vm: Supervisor, row: str) -> str:
    """The first command of a row of deploy/vm.md."""
    found = re.search(rf"^\| {row} \| `([^`]+)`", (vm.root / "deploy/vm.md").read_text(), re.MULTILINE)
    assert found, f"deploy/vm.md has no row {row!r}"
    return found[1]


def test_status_and_tail_show_every_role(vm: Supervisor) -> None:
    def all_run() -> bool:
        states = dict(line.split()[:2] for line in vm.control("status").splitlines())
        assert states == dict.fromkeys([*ROLES, "redis"], "RUNNING")
        return True

    wait_until(all_run, 20)  # what has been started is STARTING for `startsecs`
    assert '"task_id"' in vm.control("tail", "-20000", "worker")


def test_the_drain_of_the_manual_leaves_a_worker_alive_and_not_ready(vm: Supervisor, api: Client) -> None:
    def drained() -> bool:
        done = vm.run(["sh", "-c", recipe(vm, "drain the workers")])
        assert done.returncode == 0, done.stderr  # Celery gives a worker one second to answer
        return True

    try:
        wait_until(drained, 20)
        wait_until(lambda: "consuming from no queue" in (vm.check("worker", ready=True) or ""), 10)
        assert vm.check("worker") is None
        queued = api.submit("add", 1, 2)
    finally:
        vm.restart("worker")
    assert api.done(queued)["result"] == 3


def test_make_up_while_a_role_is_not_ready_names_it_and_fails(vm: Supervisor, stopped: Stopped) -> None:
    with stopped("worker"):
        done = vm.run(["make", "up"])

    assert done.returncode != 0
    assert "worker is not ready" in done.stderr
    assert "already running; nothing was changed" in done.stdout


def test_make_up_while_running_installs_nothing(vm: Supervisor) -> None:
    installed = (vm.root / ".venv/.installed").stat().st_mtime
    os.utime(vm.root / "requirements/base.txt", (installed + 10, installed + 10))

    def up() -> Any:
        done = vm.run(["make", "up"])
        assert done.returncode == 0, done.stderr  # each role is asked once, and has two seconds
        return done

    try:
        done = wait_until(up, 20)
    finally:
        os.utime(vm.root / "requirements/base.txt", (installed - 10, installed - 10))

    assert "make down, then make up, installs it" in done.stderr
    assert "installing" not in done.stdout
    assert (vm.root / ".venv/.installed").stat().st_mtime == installed


def test_the_address_is_that_of_the_stack_that_runs(vm: Supervisor) -> None:
    """`make smoke` asks for it: `make up WEB_BIND=…` must hold for it, too."""
    done = vm.run([".venv/bin/python", "deploy/vm.py", "address"], WEB_BIND="127.0.0.1:1")

    assert done.stdout.strip() == vm.base_url


def test_resetting_the_schedules_without_redis_says_so_in_one_line(vm: Supervisor, stopped: Stopped) -> None:
    with stopped("redis"):
        done = vm.run(["make", "schedules-reset"])

    assert done.returncode != 0
    assert re.match(r"CommandError: nothing was changed, Redis does not answer.*\nmake: ", done.stderr), done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("up_again")
def test_make_down_ends_what_a_killed_supervisord_left(vm: Supervisor, api: Client) -> None:
    vm.scale("worker", 2)
    conf, copy = vm.root / "supervisord.conf", vm.root / "run/supervisor.d/worker-2.conf"
    before = conf.read_text()
    try:
        queued = api.submit("add", 1, 2, countdown=5)
        os.kill(int(vm.control("pid")), signal.SIGKILL)

        said = vm.make("down")

        assert re.search(r"supervisord has ended and left .*worker-2 \(process \d+\)", said), said
        assert [process.cmdline() for process in vm.processes()] == []
        conf.write_text(before.replace("stopwaitsecs=70", "stopwaitsecs=80"))
        vm.make("up")
        assert "stopwaitsecs=80" in copy.read_text()
        assert api.done(queued, within=20)["result"] == 3
    finally:
        conf.write_text(before)
        copy.unlink(missing_ok=True)
        if vm.pids_or_none():
            vm.control("update")
            vm.wait_ready("worker")


@pytest.mark.usefixtures("up_again")
def test_an_upgrade_by_the_manual_keeps_the_queue_and_runs_the_new_commit(vm: Supervisor, api: Client) -> None:
    assert recipe(vm, "upgrade, roll back") == "make down"
    once = vm.root / "run/supervisor.d/once.conf"
    once.write_text("[program:once]\ncommand=true\nautorestart=false\nstartsecs=0\n")
    vm.control("update")
    done = api.run("mul", 6, 7)["id"]
    vm.stop("worker")
    queued = [api.submit("add", number, 1) for number in range(5)]
    try:
        vm.make("down")
        assert [process.cmdline() for process in vm.processes()] == []
        assert "not running" in vm.make("down")
        new = commit(vm.root, "the new version")
        said = vm.make("up")
    finally:
        once.unlink()
        vm.control("update")

    assert api.get("/version").json()["commit"] == new
    assert [api.done(task_id)["result"] for task_id in queued] == [1, 2, 3, 4, 5]
    assert api.state(done)["result"] == 42, "a result was lost"
    for line in (
        r"add\(2, 3\) = 5, over HTTP, Redis and a worker \(\d+\.\d s after the start\)",
        rf"page +{vm.base_url}/",
        rf"API +{vm.base_url}/api/docs",
        rf"Flower +{vm.flower_url}/ +user flower, password in run/secrets/flower/flower_password",
        r"next +\.venv/bin/supervisorctl -c supervisord\.conf status",
        r"make down",
    ):
        assert re.search(rf"^ *{line}", said, re.MULTILINE), f"{line}\n{said}"
    assert (vm.root / "run/secrets/flower/flower_password").read_text()


def test_make_smoke_proves_what_runs_and_disturbs_nobody(vm: Supervisor, api: Client) -> None:
    def seen() -> list[object]:
        return [vm.pids(), [entry["name"] for entry in api.get("/api/schedules").json()]]

    before = seen()
    assert re.search(r"\b7 passed", vm.make("smoke"))
    assert seen() == before


@pytest.mark.slow
def test_make_smoke_fails_without_a_worker(vm: Supervisor, stopped: Stopped) -> None:
    with stopped("worker"):
        done = vm.run(["make", "smoke"], PYTEST_ADDOPTS="--force-reruns 0 -k 'a_task_goes or every_queue'")

    assert done.returncode != 0
    for name in ("a_task_goes_through", "every_queue_that_holds_tasks"):
        assert re.search(rf"^FAILED .*{name}", done.stdout, re.MULTILINE), done.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.usefixtures("up_again")
def test_make_up_with_a_backlog_says_what_waits_and_is_content(vm: Supervisor, api: Client) -> None:
    vm.stop("worker")
    ids = [api.submit("sleep", 35) for _ in range(4)]  # two run, two wait, and before all of them add does not
    vm.make("down")
    try:
        said = vm.make("up")
    finally:
        for task_id in ids[2:]:
            api.call("DELETE", f"/api/tasks/{task_id}")

    found = re.search(r"^every role is ready; add\(2, 3\) has its turn later: (\d) tasks wait, .* hold 2$", said, re.M)
    assert found, said
    assert int(found[1]) >= 2  # and what beat has sent meanwhile
    assert f"{vm.base_url}/" in said
    assert [api.done(task_id, within=45)["state"] for task_id in ids] == ["SUCCESS"] * 2 + ["REVOKED"] * 2
