"""A Redis that is back and still reads its data says LOADING: no role ends of it, and no task is lost or repeated.

On Kubernetes its Service leads there from the first moment on, whether the pod counts as ready or not.
"""

import json
import os
import threading
import time
from collections.abc import Callable

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.roles.conftest import PASSWORD, Redis, Role, free_port
from tests.roles.sockets import Web
from tests.waiting import wait_until

pytestmark = pytest.mark.chaos
KEYS, SECONDS = 400, 4.0


def is_loading(server: Redis) -> bool:
    once = Retry(NoBackoff(), 0)
    with redis.Redis(port=server.port, password=PASSWORD, retry=once, socket_timeout=5) as client:
        try:
            client.ping()
        except redis.BusyLoadingError:
            return True
        except redis.RedisError as error:
            raise OSError(error) from error
    return False


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_redis_that_reads_its_data_for_seconds_costs_no_role_and_no_task(
    pool: str, run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    port = free_port()
    roles = [
        run_role("worker", WORKER_POOL=pool),
        run_role("beat"),
        run_role("flower", FLOWER_BIND=f"127.0.0.1:{free_port()}"),
        run_role("web", WEB_BIND=f"127.0.0.1:{port}", WEB_WORKERS="1", DATABASE_URL="sqlite://:memory:"),
    ]
    for role in roles:
        role.wait_ready(60)
    redis_server.client.mset({f"filling:{number}": os.urandom(1024).hex() for number in range(KEYS)})
    redis_server.client.bgrewriteaof()  # so that it is read key by key
    wait_until(lambda: not redis_server.client.info("persistence")["aof_rewrite_in_progress"], 10)
    tasks = [send("sleep", 5), send("add", 1, 1, countdown=3)]
    wait_until(lambda: redis_server.client.hlen("unacked") == 2, 10)

    redis_server.stop()
    slowly = ("--key-load-delay", str(int(SECONDS / KEYS * 1_000_000)))
    # It answers meanwhile, as with gigabytes of data.
    answering = ("--loading-process-events-interval-bytes", "1024")
    starting = threading.Thread(target=redis_server.start, args=(*slowly, *answering))
    starting.start()
    wait_until(lambda: is_loading(redis_server), 5, every=0.01)
    begun = time.monotonic()
    answer = Web(port).post("/api/tasks/add", b'{"args": [1, 1]}', Content_Type="application/json")
    assert answer.status == 503, answer.raw
    assert time.monotonic() - begun < 2
    assert is_loading(redis_server)
    starting.join()

    for task in tasks:
        wait_until(lambda task=task: f'"task_id": "{task}", "event": "on_success"' in roles[0].log.read_text(), 40)  # type: ignore[misc]
    wait_until(lambda: (redis_server.client.hlen("unacked"), redis_server.client.llen("celery")) == (0, 0), 10)
    for task in tasks:
        assert roles[0].log.read_text().count(f'"task_id": "{task}", "event": "on_success"') == 1
        assert json.loads(redis_server.client.get(f"celery-task-meta-{task}"))["status"] == "SUCCESS"
    for role in roles:
        role.wait_ready(30)
    assert [role.role for role in roles if role.process.poll() is not None] == []
