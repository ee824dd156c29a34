"""Django's own tasks: enqueued by a project's code, run by a real worker, their results read by id."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.roles.conftest import Redis, Role
from tests.waiting import Process, wait_until

pytestmark = [
    pytest.mark.xdist_group("django-tasks"),
    pytest.mark.skipif(
        not (importlib.util.find_spec("django.tasks") or importlib.util.find_spec("django_tasks")),
        reason="neither Django 6 nor the package django-tasks is installed",
    ),
]
# Runs what it is sent as a project's code would run, and says what `answer` is then.
PROJECT_CODE = """
import asyncio, json, sys, django
from datetime import timedelta
from functools import partial
django.setup()
from stack.celery import app
from django.db import transaction
from django.utils import timezone
from stack.state import records
import jobs
from jobs import task
def told(result):
    names = ("id", "status", "enqueued_at", "started_at", "finished_at")
    return {name: str(getattr(result, name)) for name in names} | {
        "args": result.args, "kwargs": result.kwargs, "attempts": result.attempts, "workers": result.worker_ids,
        "queue": result.task.queue_name, "priority": result.task.priority,
        "value": result.return_value if result.status == "SUCCESSFUL" else None,
        "errors": [[error.exception_class.__name__, error.traceback] for error in result.errors]}
for line in sys.stdin:
    names = {}
    try:
        exec(json.loads(line), globals(), names)
        answer = names.get("answer")
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print("answer", json.dumps(answer), flush=True)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def code(server: Redis) -> Iterator[Callable[[str], Any]]:
    """Run a project's code beside one worker with one place; gives what it leaves in `answer`."""
    variables = {
        "DJANGO_SETTINGS_MODULE": "stack.settings",
        "PROJECT_SETTINGS": "jobs_settings",
        "WORKER_CONCURRENCY": "1",
    }
    worker = Role("worker", server, server.folder, "worker", **variables)
    env = worker.env | {"SERVICE_ROLE": "web", "LOG_LEVEL": "ERROR"}
    env["PYTHONPATH"] += os.pathsep + str(Path(__file__).resolve().parents[2] / "app")
    pipe = subprocess.PIPE
    with Process(
        [sys.executable, "-W", "ignore", "-c", PROJECT_CODE], env=env, stdin=pipe, stdout=pipe, text=True
    ) as run:
        assert run.stdin
        assert run.stdout

        def answer(text: str) -> Any:
            run.stdin.write(json.dumps(text) + "\n")
            run.stdin.flush()
            for line in run.stdout:
                if line.startswith("answer "):
                    return json.loads(line[7:])
            raise AssertionError("the project's code ended")

        worker.wait_ready()
        yield answer
        run.stdin.close()
    worker.end()


def ended(code: Callable[[str], Any], task_id: str, name: str = "add") -> dict[str, Any]:
    def look() -> dict[str, Any]:
        seen = code(f"answer = told(jobs.{name}.get_backend().get_result({task_id!r}))")
        assert seen["status"] in ("SUCCESSFUL", "FAILED"), seen
        return dict(seen)

    return wait_until(look, 40)


def test_a_task_runs_and_its_result_is_read_by_its_id(code: Callable[[str], Any]) -> None:
    sent = code("answer = told(jobs.add.enqueue(2, b=3))")
    assert (sent["status"], sent["args"], sent["kwargs"], sent["attempts"]) == ("READY", [2], {"b": 3}, 0)
    result = ended(code, sent["id"])
    assert (result["value"], result["args"], result["kwargs"], result["errors"]) == (5, [2], {"b": 3}, [])
    assert sent["enqueued_at"] <= result["enqueued_at"] <= result["started_at"] <= result["finished_at"]
    assert (result["attempts"], result["workers"][0].partition("@")[0]) == (1, "worker")
    # The name by which people look for it, in the API and in its list.
    assert code(f"answer = records.read({sent['id']!r})['name']") == "jobs.add"
    assert code("answer = told(jobs.fail.get_result('unknown'))").startswith("TaskResultDoesNotExist")
    assert code(f"answer = told(jobs.fail.get_result({sent['id']!r}))").startswith("TaskResultMismatch")


def test_coroutines_contexts_and_awaited_calls_work(code: Callable[[str], Any]) -> None:
    sent = code("answer = told(asyncio.run(jobs.greet.aenqueue('Ada')))")
    assert isinstance(sent, dict), sent
    result = ended(code, sent["id"], "greet")
    assert (result["value"], result["queue"], result["priority"]) == ({"hello": "Ada"}, "mail", 10)
    assert code(f"answer = told(asyncio.run(jobs.greet.aget_result({sent['id']!r})))")["value"] == {"hello": "Ada"}
    sent = code("answer = told(jobs.attempt.enqueue())")
    assert ended(code, sent["id"])["value"] == [1, sent["id"], "RUNNING"]


def test_a_task_that_fails_keeps_its_error_and_traceback(code: Callable[[str], Any]) -> None:
    result = ended(code, code("answer = jobs.fail.enqueue('luck').id"))
    assert result["status"] == "FAILED"
    [[kind, traceback]] = result["errors"]
    assert kind == "LookupError"
    assert 'raise LookupError(f"no {word}")' in traceback


def test_a_higher_priority_runs_first(code: Callable[[str], Any], tmp_path: Path) -> None:
    held = code(f"answer = jobs.hold.enqueue({str(tmp_path / 'go')!r}).id")
    wait_until(lambda: code(f"answer = jobs.hold.get_result({held!r}).status") == "RUNNING", 20)
    priorities = (-100, -50, 0, 100)
    ids = [code(f"answer = jobs.add.using(priority={each}).enqueue(1, 1).id") for each in priorities]
    (tmp_path / "go").touch()
    starts = {each: ended(code, task_id)["started_at"] for each, task_id in zip(priorities, ids, strict=True)}
    assert sorted(starts, key=lambda each: starts[each]) == [100, 0, -50, -100]


def test_run_after_is_waited_for(code: Callable[[str], Any]) -> None:
    sent = code(
        "after = timezone.now() + timedelta(seconds=2); result = jobs.add.using(run_after=after).enqueue(1, 2);"
        "answer = [result.id, str(after)]"
    )
    assert ended(code, sent[0])["started_at"] >= sent[1]
    far = "jobs.add.using(run_after=timezone.now() + timedelta(days=2)).enqueue(1, 2)"
    assert "Raise VISIBILITY_TIMEOUT" in code(far.replace("jobs", "answer = jobs", 1))


def test_with_the_option_a_task_is_sent_at_the_commit(code: Callable[[str], Any], server: Redis) -> None:
    inside = code(
        "with transaction.atomic():\n"
        "    result = jobs.after_commit.enqueue(); known = bool(records.read(result.id))\n"
        "answer = [result.id, known, bool(records.read(result.id))]"
    )
    assert inside[1:] == [False, True]
    assert ended(code, inside[0])["value"] == "done"
    rolled_back = code(
        "with transaction.atomic():\n"
        "    result = jobs.after_commit.enqueue(); transaction.set_rollback(True)\n"
        "answer = bool(records.read(result.id))"
    )
    assert rolled_back is False


@pytest.mark.slow
def test_a_task_whose_process_is_killed_is_attempted_again(code: Callable[[str], Any]) -> None:
    result = ended(code, code("answer = jobs.die_once.enqueue().id"))
    assert (result["value"], result["attempts"]) == (2, 2)


def test_a_revoked_task_has_failed_and_never_ran(code: Callable[[str], Any]) -> None:
    revoked = code(
        "result = jobs.add.using(run_after=timezone.now() + timedelta(seconds=1)).enqueue(1, 2);"
        "answer = [result.id, records.claim(result.id, '', records.REVOKED)]"
    )
    assert revoked[1] == "revoked"
    result = ended(code, revoked[0])
    assert (result["status"], result["errors"][0][0], result["attempts"]) == ("FAILED", "TaskRevokedError", 0)


def test_a_message_runs_nothing_that_is_no_django_task(code: Callable[[str], Any]) -> None:
    for path in ("jobs.plain", "os.system", "jobs.os.system", "antigravity.geohash", "jobs.add.func", "", "add"):
        call = {"path": path, "args": [], "kwargs": {}, "backend": "default", "queue": "default", "priority": 0}
        call |= {"run_after": None, "enqueued_at": 0.0}
        sent = code(f"answer = app.tasks['stack.django_tasks.run'].apply_async(({call!r},)).id")
        state = wait_until(lambda sent=sent: (seen := code(f"answer = records.read({sent!r})"))["ready"] and seen, 20)
        assert state["error"]["type"] in ("InvalidTask", "InvalidTaskError"), (path, state)
        assert "There is no Django task at" in state["error"]["message"]


def test_what_cannot_run_is_refused_at_once(code: Callable[[str], Any]) -> None:
    assert "TypeError" in code("answer = jobs.add.enqueue(object(), 1).id")
    assert "InvalidTask" in code("answer = jobs.add.using(queue_name='else').enqueue(1, 1).id")
    assert "InvalidTask" in code("answer = jobs.add.using(priority=101).enqueue(1, 1).id")
    local = "def outer():\n    def inner(): pass\n    return inner\n"
    assert "module level" in code(f"{local}answer = task(outer()).enqueue().id")
    assert "decorate the function where it is defined" in code("answer = task(jobs.plain).enqueue().id")
    assert "is a key that Celery" in code("answer = jobs.anywhere.using(queue_name='unacked').enqueue().id")
