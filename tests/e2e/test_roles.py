"""The roles as an operator meets them: start, restart, scale and stop."""

import re
import shutil
import socket

import psutil
import pytest

from tests.e2e.client import Client, lines_of
from tests.e2e.conftest import Stopped
from tests.e2e.supervisor import ROLES, Supervisor
from tests.e2e.targets import Target, holds
from tests.waiting import wait_until


@pytest.mark.parametrize("role", [*ROLES, "redis"])
def test_a_role_restarted_by_supervisorctl_works_again(role: str, vm: Supervisor, api: Client) -> None:
    before = vm.pids()

    vm.control("restart", role)

    vm.wait_ready(role)
    assert api.run("add", 2, 3, within=20)["result"] == 5
    after = vm.pids()
    assert [name for name in before if after.get(name) != before[name]] == [role]


@pytest.mark.parametrize("role", ROLES)
def test_an_idle_role_stops_at_once(role: str, stack: Target) -> None:
    def stopped() -> bool:
        return stack.check(role) is not None

    stack.signal(role, "TERM")

    wait_until(stopped, 6)
    # supervisord starts again what ended without its order.
    wait_until(lambda: stack.check(role, ready=True) is None, 20)


@pytest.mark.chaos
@pytest.mark.parametrize("role", ROLES)
def test_a_killed_role_comes_back_by_itself(role: str, vm: Supervisor, api: Client) -> None:
    before = vm.pids()[role]

    vm.signal(role, "KILL")

    wait_until(lambda: vm.pids().get(role, before) != before, 20)
    vm.wait_ready(role)
    # A killed gunicorn leaves processes that answer a little longer, so one answer proves nothing.
    wait_until(lambda: api.run("add", 2, 3, within=20)["result"] == 5, 20)
    vm.wait_ready(role)


def test_make_up_while_running_says_so_and_changes_nothing(vm: Supervisor) -> None:
    before = vm.pids()

    said = wait_until(lambda: vm.make("up"), 20)  # each role is asked once, and has two seconds

    assert "already running" in said
    assert vm.base_url in said
    assert vm.pids() == before


def test_make_up_names_a_taken_port_its_variable_and_its_holder(vm: Supervisor) -> None:
    other = Supervisor.copy()
    try:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", other.flower_port))
            holder.listen()
            done = other.run(["make", "up"])
        me = psutil.Process()

        assert done.returncode != 0
        assert f"port {other.flower_port} is taken by {me.name()} (process {me.pid})" in done.stderr
        assert "put FLOWER_BIND=127.0.0.1:" in done.stderr
        assert not (other.root / "run" / "supervisor.sock").exists(), "something was started"
    finally:
        shutil.rmtree(other.root)


@pytest.mark.parametrize("variable", ["WEB_BIND", "REDIS_PORT"])
def test_make_up_names_the_port_of_another_stack(variable: str, vm: Supervisor) -> None:
    other = Supervisor.copy(**{variable: vm.env[variable]})
    try:
        done = other.run(["make", "up"])

        assert done.returncode != 0
        assert f"is taken by {psutil.Process(vm.pids()['web' if variable == 'WEB_BIND' else 'redis']).name()}" in (
            done.stderr
        )
        assert f"put {variable}=" in done.stderr
    finally:
        shutil.rmtree(other.root)


def test_three_workers_share_the_tasks_and_one_is_left_after_scaling_back(vm: Supervisor, api: Client) -> None:
    vm.scale("worker", 3)
    try:
        names = sorted(name for name in vm.pids() if name.startswith("worker"))
        assert names == ["worker", "worker-2", "worker-3"]
        assert [vm.check(name, ready=True) for name in names] == [None] * 3

        # Two slots each: six that sleep run at once only if every worker takes its part.
        ids = [api.submit("sleep", 2) for _ in range(6)]
        for task_id in ids:
            api.done(task_id, within=20)

        def each_ran_one() -> bool:
            for name in names:
                log = (vm.root / "run" / "log" / f"{name}.log").read_text()
                assert any(lines_of(log, "^on_success$", task_id=task_id) for task_id in ids), f"{name} ran none"
            return True

        wait_until(each_ran_one, 10)  # the line comes after the result
    finally:
        vm.scale("worker", 1)

    assert [name for name in vm.pids() if name.startswith("worker")] == ["worker"]
    assert api.run("add", 2, 3)["result"] == 5


def test_worker_finishes_its_task_before_stopping(api: Client, stack: Target, stopped: Stopped) -> None:
    task_id = api.submit("sleep", 5)
    api.reaches(task_id, "STARTED")

    with stopped("worker"):
        at_stop = api.state(task_id)

    assert at_stop["state"] == "SUCCESS"
    # Had it been handed back as well, the new worker would take it before this one.
    assert api.run("add", 1, 1)["result"] == 2
    assert len(lines_of(stack.logs("worker"), "^on_success$", task_id=task_id)) == int(stack.keeps)


def test_a_task_too_long_for_the_stop_is_handed_back_and_runs_again_once(
    api: Client, stack: Target, vm: Supervisor
) -> None:
    with vm.restarted_with("worker", "STOP_GRACE=20"):
        task_id = api.submit("sleep", 15)
        first = api.reaches(task_id, "STARTED")

        vm.stop("worker")  # after 5 s, which is STOP_GRACE - 15, it gives the task back
        assert api.state(task_id)["ready"] is False
        assert holds(vm, task_id) == {"default": 1}
        vm.start("worker")

        second = api.reaches(task_id, "STARTED")
        wait_until(lambda: api.state(task_id)["started_at"] > first["started_at"], 10)
        done = api.done(task_id, within=40)

    assert (done["state"], second["ready"]) == ("SUCCESS", False)
    log = stack.logs("worker")
    assert len(re.findall(rf"handed back sleep\[{task_id}\]", log)) == 1
    assert len(lines_of(log, "^on_success$", task_id=task_id)) == 1


def test_make_down_leaves_no_process_and_make_up_finds_the_queue(vm: Supervisor, api: Client) -> None:
    done = api.run("mul", 6, 7)["id"]
    vm.stop("worker")
    queued = [api.submit("add", number, 1) for number in range(5)]

    vm.make("down")
    try:
        assert [process.cmdline() for process in vm.processes()] == []
        assert "not running" in vm.make("down")
    finally:
        said = vm.make("up")

    assert "add(2, 3) = 5" in said
    assert [api.done(task_id)["result"] for task_id in queued] == [1, 2, 3, 4, 5]
    assert api.state(done)["result"] == 42, "a result was lost"
