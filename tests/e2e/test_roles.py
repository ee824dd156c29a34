"""The roles as an operator meets them: start, restart, scale and stop."""

import shutil
import socket

import psutil
import pytest

from tests.e2e.client import Client, lines_of
from tests.e2e.conftest import Stopped
from tests.e2e.supervisor import ROLES, Supervisor
from tests.e2e.targets import Target
from tests.waiting import wait_until


@pytest.mark.parametrize(
    "role", ["worker", *(pytest.param(role, marks=pytest.mark.slow) for role in ("web", "beat", "flower", "redis"))]
)
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


@pytest.mark.slow
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


@pytest.mark.runtime
def test_worker_finishes_its_task_before_stopping(api: Client, stack: Target, stopped: Stopped) -> None:
    task_id = api.submit("sleep", 5)
    api.reaches(task_id, "STARTED")

    with stopped("worker"):
        at_stop = api.state(task_id)

    assert at_stop["state"] == "SUCCESS"
    # Had it been requeued as well, the new worker would take it before this one.
    assert api.run("add", 1, 1)["result"] == 2
    assert len(lines_of(stack.logs("worker"), "^on_success$", task_id=task_id)) == int(stack.keeps)
