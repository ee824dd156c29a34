"""Redis goes away or cuts the connection while tasks run: each ends once, and the worker lives. Every role can end."""

import json
import os
import signal
from collections.abc import Callable

import pytest

from tests.roles.conftest import Redis, Role, free_port
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.chaos


def down(server: Redis) -> None:
    server.stop()
    stays(lambda: server.process.poll() is not None, 10)  # longer than what runs
    server.start()


def cut(server: Redis) -> None:
    server.client.client_kill_filter(_type="normal", skipme=True)
    server.client.client_kill_filter(_type="pubsub", skipme=True)


@pytest.mark.parametrize(
    ("outage", "pool"),
    [
        (cut, "prefork"),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in ((cut, "threads"), (down, "prefork"))),
    ],
)
def test_what_runs_through_an_outage_runs_once_and_what_waits_still_runs(
    outage: Callable[[Redis], None],
    pool: str,
    run_role: Callable[..., Role],
    send: Callable[..., str],
    redis_server: Redis,
) -> None:
    worker = run_role("worker", WORKER_POOL=pool).wait_ready()
    # The one that runs comes last: to send one takes seconds where the machine is busy.
    delayed, running = send("add", 1, 2, countdown=14), send("sleep", 6)
    wait_until(lambda: redis_server.client.hlen("unacked") == 2, 10)

    outage(redis_server)

    for task in (running, delayed):
        wait_until(lambda task=task: runs_of(worker, task) == 1, 40)  # type: ignore[misc]
    wait_until(lambda: (redis_server.client.hlen("unacked"), redis_server.client.llen("celery")) == (0, 0), 10)
    assert [runs_of(worker, task) for task in (running, delayed)] == [1, 1]
    assert worker.process.poll() is None
    assert "Connection to broker lost" in worker.log.read_text()


def runs_of(worker: Role, task: str) -> int:
    return worker.log.read_text().count(f'"task_id": "{task}", "event": "on_success"')


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_redis_that_is_full_for_a_while_costs_no_task(
    pool: str, run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker", WORKER_POOL=pool).wait_ready()
    running = send("sleep", 4)  # its result comes when there is no room for it
    wait_until(lambda: redis_server.client.hlen("unacked") == 1, 10)
    os.kill(worker.process.pid, signal.SIGSTOP)  # until they wait and Redis is full
    tasks = [send("add", number, 1) for number in range(8)]
    redis_server.client.config_set("maxmemory", "1mb")
    os.kill(worker.process.pid, signal.SIGCONT)
    stays(lambda: worker.process.poll() is None, 6)
    assert "OOM" in worker.log.read_text() or "used memory" in worker.log.read_text()

    redis_server.client.config_set("maxmemory", "0")

    for task in [running, *tasks]:
        wait_until(lambda task=task: runs_of(worker, task) == 1, 40)  # type: ignore[misc]
    wait_until(lambda: (redis_server.client.hlen("unacked"), redis_server.client.llen("celery")) == (0, 0), 10)
    tasks.append(running)
    states = [json.loads(redis_server.client.get(f"celery-task-meta-{task}"))["status"] for task in tasks]
    assert states == ["SUCCESS"] * 9
    assert [runs_of(worker, task) for task in tasks] == [1] * 9


@pytest.mark.slow
@pytest.mark.parametrize("outage", ["down", "hung"])
def test_every_role_ends_in_order_while_redis_is_away(
    run_role: Callable[..., Role], redis_server: Redis, outage: str
) -> None:
    roles = [
        run_role("worker", STOP_GRACE="20"),
        run_role("beat"),
        run_role("flower", FLOWER_BIND=f"127.0.0.1:{free_port()}"),
        run_role("web", WEB_BIND=f"127.0.0.1:{free_port()}", WEB_WORKERS="1", DATABASE_URL="sqlite://:memory:"),
    ]
    for role in roles:
        role.wait_ready(60)
    stays(lambda: all(role.process.poll() is None for role in roles), 3)  # until Flower has asked for workers' events
    if outage == "down":
        redis_server.stop()
    else:
        redis_server.process.send_signal(signal.SIGSTOP)
    try:
        stays(lambda: all(role.process.poll() is None for role in roles), 6)
        for role in roles:
            role.process.terminate()
        assert {role.role: role.process.wait(40) for role in roles} == {role.role: 0 for role in roles}
    finally:
        redis_server.process.send_signal(signal.SIGCONT)
