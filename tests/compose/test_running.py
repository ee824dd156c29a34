"""Scale, replace and break the containers of a stack that works, and count."""

import os
import signal
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.client import Client, lines_of
from tests.e2e.compose import Compose
from tests.e2e.test_outage import refused
from tests.traffic import Ticks
from tests.waiting import stays, wait_until


@pytest.mark.slow
def test_three_workers_all_take_work(stack: Compose, api: Client) -> None:
    stack.scale("worker", 3)
    try:
        tasks = [api.submit("sleep", 0.5) for _ in range(36)]
        for task_id in tasks:
            assert api.done(task_id, within=60)["successful"]

        def shared() -> bool:
            logs = [stack.run("docker", "logs", container).stdout for container in stack.containers("worker")]
            done = [sum(bool(lines_of(log, "^on_success$", task_id=task_id)) for task_id in tasks) for log in logs]
            assert sum(done) == 36, done  # the line comes after the result
            assert min(done) > 0, done
            return True

        wait_until(shared, 10)
    finally:
        stack.scale("worker", 1)


def test_two_webs_share_the_one_port(stack: Compose, api: Client) -> None:
    stack.scale("web", 2)
    try:

        def seen() -> bool:
            assert all(api.get("/version").status_code == 200 for _ in range(10))
            logs = [stack.run("docker", "logs", container).stdout for container in stack.containers("web")]
            return all("GET /version" in log for log in logs)

        wait_until(seen, 20)
    finally:
        stack.scale("web", 1)
    assert all(api.get("/version").status_code == 200 for _ in range(20))


@pytest.mark.slow
@pytest.mark.chaos
def test_two_beats_tick_once(stack: Compose, api: Client) -> None:
    stack.scale("beat", 2)
    try:
        leader = [c for c in stack.containers("beat") if "took the lock" in stack.run("docker", "logs", c).stdout]
        with Ticks(api) as ticks:
            wait_until(lambda: len(ticks.seen) >= 2, 30)
            os.kill(stack.pid(leader[-1]), signal.SIGKILL)  # the engine starts it again, and the other one takes over
            before = len(ticks.seen)
            wait_until(lambda: len(ticks.seen) >= before + 4, 60)
        # The lock of who was killed lasts ten seconds, and the other one looks every two.
        ticks.check(longest=ticks.every + 15)
    finally:
        stack.scale("beat", 1)


@pytest.mark.chaos
def test_recreating_a_worker_in_mid_task_loses_and_repeats_nothing(stack: Compose, api: Client) -> None:
    stack.scale("worker", 2)
    before = api.counters("sleep")
    tasks = [api.submit("sleep", 15) for _ in range(8)]
    for task_id in tasks:
        api.reaches(task_id, "STARTED")

    stack.compose("up", "-d", "--no-deps", "--force-recreate", "--wait", "--scale", "worker=2", "worker")

    assert [api.done(task_id, within=60)["state"] for task_id in tasks] == ["SUCCESS"] * 8
    after = api.counters("sleep")
    assert after["success"] - before["success"] == 8
    assert after["return"] - before["return"] == 8
    stack.scale("worker", 1)


def lives(stack: Compose, but: tuple[str, ...] = ()) -> dict[str, tuple[int, int]]:
    """How often each container was restarted, and its process; of all services but these."""
    left_out = {container for service in but for container in stack.containers(service)}
    return {
        container: (stack.inspect(container)["RestartCount"], stack.pid(container))
        for container in stack.containers()
        if container not in left_out
    }


def control(stack: Compose, *command: str) -> None:
    """Celery's remote control, as the operator of a worker has it; asked again while the worker is still connecting."""
    celery = ["celery", "-q", "-A", "stack.celery", "control", "--timeout", "2", *command]
    environment = ["-w", "/srv/app", "-e", "SERVICE_ROLE=worker"]

    def answered() -> bool:
        done = stack.run("docker", "exec", *environment, stack.containers("worker")[0], *celery)
        assert done.returncode == 0, done.stdout + done.stderr
        return True

    wait_until(answered, 60)


@pytest.mark.chaos
@pytest.mark.parametrize("how", [pytest.param("restart", marks=pytest.mark.slow), "SIGKILL"])
def test_redis_goes_and_comes_back_with_every_queued_task(stack: Compose, api: Client, how: str) -> None:
    # The worker takes no task meanwhile, but is there, to be restarted or not.
    control(stack, "cancel_consumer", "celery")
    before = lives(stack, but=("redis",))
    try:
        with ThreadPoolExecutor(8) as pool:
            tasks = list(pool.map(lambda number: api.submit("add", number, 1), range(1000)))
        stack.redis_cli("WAITAOF", "1", "0", "2000")
        keys = int(stack.redis_cli("DBSIZE"))

        if how == "restart":
            stack.run("docker", "restart", stack.containers("redis")[0])
        else:
            stack.signal("redis", "KILL")
        stack.wait_healthy("redis")
        api.settled()

        # Some seconds may pass between both, in which a record expires.
        assert int(stack.redis_cli("DBSIZE")) >= keys - 5, "Redis came back with less than it had"
        assert api.state(tasks[-1])["state"] == "PENDING"
    finally:
        control(stack, "add_consumer", "celery")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda task_id: api.done(task_id, within=120), tasks))
    assert Counter(record["state"] for record in done) == {"SUCCESS": 1000}
    assert [record["result"] for record in done] == list(range(1, 1001))
    for role in ("web", "worker", "beat", "flower"):
        stack.wait_healthy(role)
    assert lives(stack, but=("redis",)) == before, "a container was restarted for an outage of Redis"


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize("frozen", [("worker", "beat", "flower", "web"), ("redis", "db", "proxy")])
def test_health_goes_bad_when_the_process_is_frozen(stack: Compose, frozen: tuple[str, ...]) -> None:
    """At once those whose checks do not ask each other, because it takes a minute."""
    containers = [stack.containers(service)[0] for service in frozen]
    mains, before = [stack.pid(container) for container in containers], lives(stack)
    processes = [process for pid in mains for process in (pid, *children(pid))]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        wait_until(lambda: {stack.health(container) for container in containers} == {"unhealthy"}, 120, every=1)
    finally:
        # Children first: gunicorn's main process ends those that it finds silent, and then they are gone.
        for process in reversed(processes):
            os.kill(process, signal.SIGCONT)
    for role in ("redis", "db", "web", "worker", "beat", "flower", "proxy"):
        stack.wait_healthy(role)
    assert lives(stack) == before, "a freeze ended a process"


def children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


@pytest.mark.slow
@pytest.mark.chaos
def test_a_silent_name_server_slows_no_answer_while_redis_is_stopped(stack: Compose, api: Client) -> None:
    gateway = stack.run(
        "docker", "network", "inspect", f"{stack.project}_front", "--format", "{{(index .IPAM.Config 0).Gateway}}"
    ).stdout.strip()
    override = stack.root / "compose.override.yaml"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        try:
            silent.bind((gateway, 53))
        except PermissionError:
            pytest.skip("only root may stand in for a name server")
        override.write_text(f"services: {{web: {{dns: [{gateway}]}}}}\n")
        try:
            stack.compose("up", "-d", "--no-deps", "--wait", "web")
            # Until the proxy has forgotten the web that was there before.
            stays(lambda: api.get("/livez").status_code in (200, 502, 503), 4)
            wait_until(lambda: all(api.get("/livez").status_code == 200 for _ in range(5)), 20)
            # What a process does at its first call is not what is measured.
            api.settled()
            for _ in range(4):
                assert api.run("add", 1, 1)["result"] == 2
            stack.stop("redis")
            for _ in range(4):
                refused(api, "POST", "/api/tasks/add", json={"args": [1, 2]})
            silent.settimeout(1)
            assert silent.recv(512)  # it was asked
        finally:
            override.unlink()
            stack.start("redis")
            stack.compose("up", "-d", "--no-deps", "--wait", "web")
            stack.found()
