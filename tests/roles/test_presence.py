"""Workers note themselves in Redis: the one source of GET /api/workers."""

import json
import signal
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from tests.roles.conftest import Redis, Role
from tests.waiting import stays, wait_until

GREEN = pytest.mark.skipif(not find_spec("eventlet"), reason="needs eventlet")
POOLS = [
    "prefork",
    pytest.param("solo", marks=pytest.mark.slow),
    pytest.param("eventlet", marks=[pytest.mark.slow, GREEN]),
]
# A worker notes itself by a thread, which is the same in every pool but the green one, where it is a green thread.
THREADS = ["prefork", pytest.param("eventlet", marks=GREEN)]


def note(server: Redis) -> dict[str, Any]:
    """What the one worker tells of itself; empty where there is none."""
    found = [server.client.get(key) for key in server.client.keys("stack:worker:*")]
    assert len(found) <= 1, found
    return dict(json.loads(found[0])) if found else {}


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_is_seen_with_its_task_and_not_any_more_once_stopped(
    pool: str, run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker", WORKER_POOL=pool, WORKER_QUEUES="celery,other").wait_ready()
    wait_until(lambda: note(redis_server).get("ready"), 10)
    seen = note(redis_server)
    assert (seen["pool"], seen["queues"]) == (pool, ["celery", "other"])
    assert seen["concurrency"] == (1 if pool == "solo" else 2)
    assert (seen["active"], seen["reserved"], seen["delayed"]) == (0, 0, 0)

    send("add", 1, 1, countdown=300)
    wait_until(lambda: note(redis_server)["delayed"] == 1, 10)
    send("sleep", 6)
    wait_until(lambda: note(redis_server)["active"] == 1, 10)
    wait_until(lambda: note(redis_server)["active"] == 0, 20)

    worker.process.terminate()
    assert worker.process.wait(15) == 0
    assert (note(redis_server), redis_server.client.smembers("stack:workers")) == ({}, set())
    # Its queues stay known: a schedule may send to one whose workers are scaled to zero.
    assert redis_server.client.smembers("stack:queues") == {"celery", "other"}


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.parametrize("pool", THREADS)
def test_a_killed_worker_is_not_seen_and_the_next_start_forgets_its_name(
    pool: str, run_role: Callable[..., Role], redis_server: Redis
) -> None:
    worker = run_role("worker", WORKER_POOL=pool)
    wait_until(lambda: note(redis_server).get("ready"), 40)

    worker.process.send_signal(signal.SIGKILL)
    wait_until(lambda: not note(redis_server), 16)

    assert len(redis_server.client.smembers("stack:workers")) == 1
    run_role("worker", "other", WORKER_POOL=pool)
    wait_until(lambda: note(redis_server).get("ready"), 40)
    (name,) = redis_server.client.smembers("stack:workers")
    assert name.startswith("other@")


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.parametrize("pool", THREADS)
def test_a_worker_is_seen_again_after_an_outage_longer_than_its_note_lasts(
    pool: str, run_role: Callable[..., Role], redis_server: Redis
) -> None:
    worker = run_role("worker", WORKER_POOL=pool)
    wait_until(lambda: note(redis_server).get("ready"), 40)
    redis_server.stop()
    stays(lambda: worker.check() is None, 18)

    redis_server.start()

    wait_until(lambda: note(redis_server).get("ready"), 20)
    worker.process.terminate()
    assert worker.process.wait(15) == 0
    assert note(redis_server) == {}
