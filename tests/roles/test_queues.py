"""A worker takes from every queue that the project names; one that no worker takes from is named where people look."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.roles.conftest import PASSWORD, PROJECT, Redis, Role, free_port
from tests.waiting import wait_until

PROJECTS = {"DJANGO_SETTINGS_MODULE": "queued_settings"}
NAMED = ["asked", "celery", "clips", "emails", "media", "nightly", "own"]
POOLS = [
    "prefork",
    pytest.param("threads", marks=pytest.mark.slow),
    pytest.param("solo", marks=pytest.mark.slow),
    pytest.param(
        "eventlet",
        marks=[pytest.mark.slow, pytest.mark.skipif(not find_spec("eventlet"), reason="needs eventlet")],
    ),
]


@pytest.fixture
def sends(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Sends a task as that project does."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT / "tests/roles/modules"))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "queued_settings")
    sender: Callable[..., str] = request.getfixturevalue("send")
    return sender


def notes(server: Redis) -> list[dict[str, Any]]:
    return [json.loads(server.client.get(key)) for key in server.client.keys("stack:worker:*")]


def went_to(server: Redis, task_id: str) -> str:
    """What the task gives: the routing key by which it came."""
    stored = wait_until(lambda: server.client.get(f"celery-task-meta-{task_id}"), 20)
    wait_until(lambda: json.loads(server.client.get(f"celery-task-meta-{task_id}"))["status"] == "SUCCESS", 20)
    stored = server.client.get(f"celery-task-meta-{task_id}")
    return str(json.loads(stored)["result"])


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_takes_from_every_queue_that_the_project_names(
    pool: str, run_role: Callable[..., Role], redis_server: Redis, sends: Callable[..., str]
) -> None:
    worker = run_role("worker", WORKER_POOL=pool, **PROJECTS).wait_ready()

    sent = {name: sends(name) for name in ("mails.send", "clips.cut", "pictures.shrink", "by_function", "plain")}
    sent["of_its_own"] = sends("of_its_own", queue="own")

    keys = {name: went_to(redis_server, task_id) for name, task_id in sent.items()}
    assert keys == {
        "mails.send": "emails",
        "clips.cut": "clips",
        "pictures.shrink": "media.pictures",
        "by_function": "asked",
        "plain": "celery",
        "of_its_own": "own",
    }
    wait_until(lambda: [note["queues"] for note in notes(redis_server)] == [NAMED], 10)
    assert f"takes tasks from {', '.join(NAMED)} (every one that the project names)" in worker.log.read_text()


def test_worker_queues_takes_those_alone_and_with_a_minus_all_but_those(
    run_role: Callable[..., Role], redis_server: Redis
) -> None:
    run_role("worker", "worker-mails", WORKER_QUEUES="emails,other", WORKER_POOL="solo", **PROJECTS)
    run_role("worker", "rest", WORKER_QUEUES="-emails,-media", WORKER_POOL="threads", **PROJECTS)

    rest = [name for name in NAMED if name not in ("emails", "media")]
    wait_until(
        lambda: sorted(note["queues"] for note in notes(redis_server)) == sorted([["emails", "other"], rest]), 30
    )


def test_a_queue_that_nobody_serves_is_named_by_the_api_and_by_webs_log(
    run_role: Callable[..., Role], redis_server: Redis, sends: Callable[..., str]
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    web = run_role("web", WEB_BIND=bind, WEB_WORKERS="2", **PROJECTS)
    run_role("worker", WORKER_QUEUES="celery", WORKER_POOL="solo", **PROJECTS)

    def shown() -> dict[str, Any]:
        answer = requests.get(f"http://{bind}/api/queues", timeout=10)
        return {queue["name"]: queue for queue in answer.json()["queues"]}

    web.wait_ready()
    wait_until(lambda: shown()["celery"]["workers"] == 1, 20)
    sends("ping", queue="emials")
    sends("mails.send")
    sends("plain", countdown=300)

    wait_until(lambda: shown()["celery"]["delayed"] == 1, 10)
    queues = shown()
    assert (queues["celery"]["unserved"], queues["nightly"]["unserved"]) == (None, None)
    assert queues["emails"]["unserved"].startswith("1 task waits here, and no running worker takes from this queue: WO")
    assert "the project does not name it. Is it misspelt" in queues["emials"]["unserved"]
    wait_until(lambda: 0 < (shown()["emials"]["oldest"] or 0) < 60, 20)

    wait_until(lambda: "queue 'emials': 1 task waits here, no running" in web.log.read_text(), 10)
    assert "queue 'emails': 1 task waits here, and no running" in web.log.read_text()
    assert "queue 'nightly'" not in web.log.read_text()


FORGETS = """
import django; django.setup()
from stack.broker.connections import client
from stack.http import unserved
redis = client()
redis.zadd("stack:queues:sent", {"empty": 1, "waits": 1})
redis.rpush("waits", "{}")
redis.rpush("celery", *["{}"] * 2)
unserved.warn()
print(redis.zrange("stack:queues:sent", 0, -1), sorted(redis.hgetall("stack:queues:oldest")))
"""


def test_a_queue_is_forgotten_when_it_is_empty_and_nobody_sends_to_it(redis_server: Redis, tmp_path: Path) -> None:
    env = os.environ | {
        "REDIS_URL": f"redis://default@127.0.0.1:{redis_server.port}/0",
        "REDIS_PASSWORD": PASSWORD,
        "SECRET_KEY": "k" * 50,
        "RUN_DIR": str(tmp_path),
        "LOG_FORMAT": "console",
        "LOG_LEVEL": "INFO",
        "DJANGO_SETTINGS_MODULE": "stack.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", FORGETS], cwd=PROJECT / "app", env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['waits'] ['celery', 'waits']"
    told = done.stdout + done.stderr
    assert "queue 'waits': 1 task waits here, and no worker runs: start one." in told
    assert "queue 'celery': 2 tasks wait here" in told
