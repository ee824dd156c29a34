"""Flower asks workers in a mailbox of its own, on a Redis where each role has a user of its own."""

import base64
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import Exchange

from stack.broker import rights
from tests.roles.conftest import PASSWORD, PROJECT, Redis, Role
from tests.waiting import wait_until

ACL_FOR = runpy.run_path(str(PROJECT / "deploy" / "redis_server.py"))["acl_for"]

# Flower's own application, with a question on each line and its answers after it.
FLOWER = """
import json, sys
from stack.monitoring.flower import app
for line in sys.stdin:
    method, arguments = json.loads(line)
    try:
        answers = app.control.broadcast(method, arguments=arguments, reply=True, timeout=2, limit=1)
    except Exception as error:
        print(f"{method}: {error}", file=sys.stderr)
        answers = []
    print(json.dumps(answers), flush=True)
"""


@pytest.fixture
def own_users(redis_server: Redis) -> Iterator[Callable[..., dict[str, str]]]:
    """The variables with which a role logs in as itself; at the end Redis has refused nobody anything."""
    admin = redis_server.client
    version = tuple(map(int, admin.info("server")["redis_version"].split(".")[:2]))
    for user in ("web", "worker", "beat", "flower"):
        grants = re.findall(r"\([^)]*\)|\S+", ACL_FOR(rights.line(user), version).strip())
        admin.execute_command("ACL", "SETUSER", user, "on", f">{PASSWORD}-{user}", *grants)
    yield lambda role, database=0: {
        "REDIS_URL": f"redis://127.0.0.1:{redis_server.port}/{database}",
        "REDIS_PASSWORD": f"{PASSWORD}-{role}",
    }
    assert [(entry["username"], entry["reason"], entry["object"]) for entry in admin.acl_log()] == []


@pytest.fixture
def flower_asks(redis_server: Redis, tmp_path: Any) -> Iterator[Callable[..., Any]]:
    """Ask workers as Flower does; returns the first answer, or None after two seconds."""
    env = {"PATH": "/usr/bin", "RUN_DIR": str(tmp_path), "SERVICE_ROLE": "flower"}
    asked: list[subprocess.Popen[str]] = []

    def ask(method: str, user: dict[str, str], **arguments: Any) -> Any:
        if not asked:
            command, pipe = [sys.executable, "-W", "ignore", "-c", FLOWER], subprocess.PIPE
            asked.append(
                subprocess.Popen(command, cwd=PROJECT / "app", env=env | user, stdin=pipe, stdout=pipe, text=True)
            )
        assert asked[0].stdin
        assert asked[0].stdout
        asked[0].stdin.write(json.dumps([method, arguments]) + "\n")
        asked[0].stdin.flush()
        answers = json.loads(asked[0].stdout.readline())
        return next(iter(answers[0].values())) if answers else None

    yield ask
    for process in asked:
        process.communicate()


def answers(flower_asks: Any, user: dict[str, str]) -> bool:
    return bool(flower_asks("ping", user) == {"ok": "pong"})


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo", "eventlet"])
def test_a_worker_answers_flower_again_after_an_outage(
    run_role: Callable[..., Role], redis_server: Redis, flower_asks: Any, pool: str
) -> None:
    user = {"REDIS_URL": f"redis://default@127.0.0.1:{redis_server.port}/0", "REDIS_PASSWORD": PASSWORD}
    run_role("worker", WORKER_POOL=pool, WORKER_CONCURRENCY="1").wait_ready()
    wait_until(lambda: answers(flower_asks, user), 10)

    redis_server.stop()
    redis_server.start()

    wait_until(lambda: answers(flower_asks, user), 20)


# What is in `.env` for a project's own use, or for Django's.
ENVIRONMENT = {
    "SENTRY_DSN": "https://secret-of-sentry@sentry.example/1",
    "EMAIL_URL": "smtp+tls://user:secret-of-mail@mail:587",
    "DATABASE_URL": "",
}


def test_flower_may_ask_and_revoke_and_nothing_else(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis, own_users: Any, flower_asks: Any
) -> None:
    worker = run_role("worker", **ENVIRONMENT, **own_users("worker")).wait_ready()
    user = own_users("flower")
    delayed = send("add", 1, 2, countdown=60)
    wait_until(lambda: redis_server.client.hlen("unacked") == 1, 10)

    refused = [
        flower_asks(method, user, **arguments)
        for method, arguments in {
            "cancel_consumer": {"queue": "celery"},
            "add_consumer": {"queue": "other"},
            "pool_shrink": {"n": 1},
            "shutdown": {},
            "terminate": {"task_id": delayed, "signal": "KILL"},
            "hello": {"from_node": "x", "revoked": {delayed: 0}},
            "revoke": {"task_id": delayed, "terminate": True},
            "no_such_command": {},
        }.items()
    ]

    assert [set(answer) for answer in refused] == [{"error"}] * 8
    assert all("FLOWER_READ_ONLY" in answer["error"] for answer in refused)
    questions = ("ping", "stats", "conf", "dump_conf", "registered", "active_queues", "report", "revoked", "scheduled")
    told = {question: flower_asks(question, user) for question in questions}
    assert None not in told.values()
    assert (told["ping"], told["revoked"]) == ({"ok": "pong"}, [])
    assert "secret-of" not in json.dumps(told)
    assert not {"ENV", "DATABASES", "EMAIL_HOST"} & set(told["conf"])
    assert PASSWORD not in json.dumps(told)
    assert "flagged" in flower_asks("revoke", user, task_id=delayed)["ok"]
    assert flower_asks("revoked", user) == [delayed]
    assert worker.check(ready=True) is None


@pytest.mark.slow
def test_a_worker_obeys_flower_when_told_so(run_role: Callable[..., Role], own_users: Any, flower_asks: Any) -> None:
    # In another database of Redis, whose number is in the channel's name.
    worker, user = own_users("worker", 3), own_users("flower", 3)
    run_role("worker", FLOWER_READ_ONLY="false", **worker).wait_ready()

    assert flower_asks("pool_grow", user, n=1) == {"ok": "pool will grow"}
    assert flower_asks("cancel_consumer", user, queue="celery") == {"ok": "no longer consuming from celery"}
    assert "unknown" in flower_asks("revoke", user, task_id="x", terminate=True)["ok"]


def question(reply_to: dict[str, str]) -> str:
    """A message for Flower's mailbox, as kombu writes it."""
    body = {"method": "ping", "arguments": {}, "destination": None, "ticket": "t", "reply_to": reply_to}
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {},
            "properties": {
                "body_encoding": "base64",
                "delivery_info": {"exchange": "flower.pidbox", "routing_key": ""},
                "delivery_tag": "x",
            },
        }
    )


def test_no_answer_of_a_worker_is_written_where_flower_may_not(
    run_role: Callable[..., Role], redis_server: Redis, own_users: Any, flower_asks: Any
) -> None:
    """Flower's password cannot write into a queue; what it asks must not make a worker do so."""
    run_role("worker", **own_users("worker")).wait_ready()
    table, admin = "_kombu.binding.reply.flower.pidbox", redis_server.client
    flower = redis.Redis(port=redis_server.port, username="flower", password=f"{PASSWORD}-flower")
    flower.sadd(table, ":".join(["mine", "", "default"]), ":".join(["mine", "", "stray.reply.flower.pidbox"]))
    flower.sadd(table, ":".join(["wanted", "", "wanted.reply.flower.pidbox"]))

    for exchange, key in [("", "default"), ("", "unacked"), ("reply.flower.pidbox", "mine"), ("celery", "default")]:
        flower.publish("/0.flower.pidbox", question({"exchange": exchange, "routing_key": key}))
    flower.publish("/0.flower.pidbox", question({"exchange": "reply.flower.pidbox", "routing_key": "wanted"}))

    wait_until(lambda: admin.llen("wanted.reply.flower.pidbox") == 1, 10)
    assert not admin.exists("default", "unacked", "mine", "stray.reply.flower.pidbox", "default.reply.flower.pidbox")
    flower.close()


# What projects do in views, tasks and shells, beyond what the stack does itself.
BY_HAND = """
from celery import chain, chord, group
from demo.tasks import add, xsum
print(chord([add.s(i, i) for i in range(5)], xsum.s())().get(timeout=20))
print(group(add.s(i, i) for i in range(3))().get(timeout=20), chain(add.s(1, 2), add.s(3))().get(timeout=20))
late = chord([add.s(i, i) for i in range(3)], xsum.s()).apply_async(countdown=1)
result = add.apply_async((1, 2), countdown=50, priority=9)
app.control.revoke(result.id)
result.revoke()
result.forget()
saved = group(add.s(1, 1))()
saved.save()
saved.get(timeout=20)
saved.delete()
print(late.get(timeout=20))
"""


@pytest.mark.slow
def test_what_projects_do_with_celery_is_refused_to_no_role(
    run_role: Callable[..., Role], own_users: Any, tmp_path: Path
) -> None:
    run_role("worker", **own_users("worker")).wait_ready()

    def run(role: str, *words: str) -> str:
        env = {"PATH": os.environ["PATH"], "SECRET_KEY": "k" * 50, "RUN_DIR": str(tmp_path), "SERVICE_ROLE": role}
        env |= {"DJANGO_SETTINGS_MODULE": "stack.settings", **own_users(role)}
        command = [sys.executable, "-W", "ignore", *words]
        done = subprocess.run(command, cwd=PROJECT / "app", env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    celery = ("-m", "celery", "-A", "stack.celery")
    assert "pong" in run("worker", *celery, "inspect", "ping", "--timeout", "2")
    assert "pool will grow" in run("worker", *celery, "control", "--timeout", "2", "pool_grow")
    run("worker", *celery, "purge", "-f")
    for role in ("web", "worker"):
        script = "import django; django.setup()\nfrom stack.celery import app\n" + BY_HAND
        assert run(role, "-c", script).splitlines()[-3:] == ["20", "[0, 2, 4] 6", "6"]


def test_every_worker_runs_a_broadcast_of_a_project(
    run_role: Callable[..., Role], redis_server: Redis, own_users: Any
) -> None:
    settings = {"DJANGO_SETTINGS_MODULE": "broadcast_settings", "WORKER_QUEUES": "celery,everyone"}
    started = [
        run_role("worker", name, WORKER_POOL="solo", **settings, **own_users("worker")).wait_ready()
        for name in ("one", "two")
    ]
    clients = redis_server.client.client_list  # each worker listens to two mailboxes and the broadcast
    wait_until(lambda: sum(int(each["psub"]) for each in clients()) == 6, 10)
    sender = Celery(broker=f"redis://web:{PASSWORD}-web@127.0.0.1:{redis_server.port}/0")
    everyone = Exchange("everyone", type="fanout")

    sender.send_task("ping", task_id="told", exchange=everyone, routing_key="celery", declare=[everyone])

    done = "told] succeeded"
    wait_until(lambda: all(done in role.log.read_text() for role in started), 20)
