"""Tasks over HTTP: from the call to the result."""

import uuid
from datetime import datetime
from itertools import pairwise

import pytest

from tests.e2e.client import Client, lines_of
from tests.e2e.targets import Target
from tests.e2e.test_datasets import WEATHER, uploaded
from tests.waiting import wait_until


@pytest.mark.runtime
def test_a_task_makes_the_round_trip_within_seconds(api: Client) -> None:
    answer = api.post("add", {"args": [2, 3]})
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert set(accepted) == {"id", "name", "state", "url"}
    assert answer.headers["Location"] == accepted["url"] == f"/api/tasks/{accepted['id']}"

    done = api.done(accepted["id"], within=5)

    assert (done["name"], done["state"], done["result"], done["error"]) == ("add", "SUCCESS", 5, None)
    assert done["ready"] is done["successful"] is True
    assert done["queued_at"] <= done["started_at"] <= done["done_at"]


def test_a_call_enqueues_the_task_and_gives_its_id_at_once(api: Client) -> None:
    answer = api.post("sleep", {"args": [2]})

    assert answer.status_code == 202
    assert not api.state(answer.json()["id"])["ready"]
    assert api.done(answer.json()["id"])["result"] == 2


def test_every_attribute_of_a_result_is_seen_without_waiting(api: Client) -> None:
    """Celery's AsyncResult by name: id, state, ready(), successful(), result, info and wait(t)."""
    header, *days = WEATHER.read_text().splitlines()
    slow = api.submit("summarize", uploaded(api, "\n".join([header, *days * 40]).encode())["id"])
    bad = api.submit("fail", "on purpose")

    # `info` while it runs is what the task told of itself; later it is the result or the error.
    info = api.reaches(slow, "PROGRESS", within=30)["progress"]
    assert 0 <= info["current"] <= info["total"] == 40 * len(days)
    held = api.get(f"/api/tasks/{slow}", params={"wait": 0.1})
    assert (held.status_code, set(held.json()) >= {"ready", "successful"}) == (200, True)
    done = api.done(slow, within=60)
    assert (done["id"], done["state"], done["ready"], done["successful"]) == (slow, "SUCCESS", True, True)
    assert (done["result"]["rows"], done["error"], done["progress"]) == (40 * len(days), None, None)

    failed = api.done(bad)
    assert (failed["id"], failed["state"], failed["ready"], failed["successful"]) == (bad, "FAILURE", True, False)
    assert (failed["result"], failed["error"]) == (None, {"type": "ValueError", "message": "on purpose"})

    waiting = api.state(api.submit("add", 1, 2, countdown=2))
    assert (waiting["state"], waiting["ready"], waiting["successful"], waiting["result"]) == (
        "PENDING",
        False,
        False,
        None,
    )
    assert api.state(waiting["id"], wait=20)["result"] == 3


def test_add_mul_and_xsum_calculate(api: Client) -> None:
    ids = [api.submit("add", 0.5, 0.25), api.submit("mul", 6, 7), api.submit("xsum", kwargs={"numbers": [1, 2, 3, 4]})]

    assert [api.done(task_id)["result"] for task_id in ids] == [0.75, 42, 10]


def test_sleep_is_seen_to_start_and_then_to_end(api: Client) -> None:
    task_id = api.submit("sleep", 1.5)

    started = api.reaches(task_id, "STARTED")
    assert not started["ready"]
    assert started["started_at"]
    assert started["done_at"] is None
    assert api.done(task_id)["result"] == 1.5


def test_a_wait_holds_the_answer_until_the_task_is_done(api: Client) -> None:
    task_id = api.submit("sleep", 2)

    early = api.get(f"/api/tasks/{task_id}", params={"wait": 0.5})
    late = api.get(f"/api/tasks/{task_id}", params={"wait": 20})

    assert not early.json()["ready"]
    assert early.elapsed.total_seconds() >= 0.5
    assert late.json()["result"] == 2
    assert late.elapsed.total_seconds() < 10, "it was held although the task was done"


def test_fail_ends_in_failure_with_its_message(api: Client) -> None:
    done = api.run("fail", "the disk is on fire")

    assert (done["state"], done["ready"], done["successful"], done["result"]) == ("FAILURE", True, False, None)
    assert done["error"] == {"type": "ValueError", "message": "the disk is on fire"}


def test_a_bound_task_knows_its_id_and_is_retried_four_times_at_most(api: Client, stack: Target) -> None:
    twice, hopeless = api.submit("flaky", 2), api.submit("flaky", 9)

    waiting = api.reaches(twice, "RETRY")
    assert not waiting["ready"]
    done, given_up = api.done(twice, within=20), api.done(hopeless, within=40)

    assert (done["state"], done["retries"], done["result"]["attempts"]) == ("SUCCESS", 2, 3)
    assert done["result"]["id"] == twice
    assert (given_up["state"], given_up["retries"]) == ("FAILURE", 4)
    assert "attempt 5 failed as asked" in given_up["error"]["message"]
    for task_id, attempts in ((twice, 3), (hopeless, 5)):
        wait_until(lambda: len(lines_of(stack.logs("worker"), "^flaky runs$", id=task_id)) >= attempts, 5)  # noqa: B023
        runs = lines_of(stack.logs("worker"), "^flaky runs$", id=task_id)
        assert [run["attempt"] for run in runs] == list(range(attempts))
        assert all(run["name"] == "flaky" for run in runs)
        times = [datetime.fromisoformat(run["timestamp"]) for run in runs]
        waits = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
        assert all(3.5 < wait < 8 for wait in waits), waits


@pytest.mark.runtime
def test_send_mail_sends_a_mail_that_the_log_shows(api: Client, stack: Target) -> None:
    subject = f"Report {uuid.uuid4()}"

    done = api.run("send_mail", "someone@example.com", subject, "All is well.")

    assert (done["state"], done["result"]) == ("SUCCESS", 1)
    mail = wait_until(lambda: stack.logs("worker").partition(f"Subject: {subject}")[2], 5)
    assert "To: someone@example.com" in mail
    assert "All is well." in mail


@pytest.mark.runtime
def test_the_four_hooks_of_a_task_are_logged_and_counted(api: Client, stack: Target) -> None:
    before = {name: api.counters(name) for name in ("mul", "fail", "flaky")}

    good, bad, again = api.submit("mul", 1, 1), api.submit("fail", "on purpose"), api.submit("flaky", 1)
    for task_id in (good, bad, again):
        api.done(task_id, within=15)

    def written() -> bool:
        log = stack.logs("worker")
        assert lines_of(log, "^on_success$", task_id=good, task="mul")
        assert lines_of(log, "^on_failure$", task_id=bad, task="fail", error="on purpose")
        assert lines_of(log, "^on_retry$", task_id=again, task="flaky")
        assert lines_of(log, "^after_return$", task_id=bad, status="FAILURE")
        return True

    def counted() -> bool:
        for name, wanted in (
            ("mul", {"success": 1, "failure": 0, "retry": 0, "return": 1}),
            ("fail", {"success": 0, "failure": 1, "retry": 0, "return": 1}),
            ("flaky", {"success": 1, "failure": 0, "retry": 1}),
        ):
            now = api.counters(name)
            assert {hook: now[hook] - before[name][hook] for hook in wanted} == wanted, name
        return True

    wait_until(written, 5)
    wait_until(counted, 5)


@pytest.mark.runtime
def test_the_request_id_of_a_call_is_on_its_task_s_lines(api: Client, stack: Target) -> None:
    caller = f"test {uuid.uuid4()}"

    task_id = api.post("add", {"args": [2, 2]}, headers={"User-Agent": caller}).json()["id"]
    api.done(task_id)

    (started,) = wait_until(lambda: lines_of(stack.logs("web"), "^request_started$", user_agent=caller), 5)
    request_id = started["request_id"]
    wait_until(lambda: lines_of(stack.logs("worker"), "^on_success$", request_id=request_id, task_id=task_id), 5)


def test_the_list_of_tasks_has_a_doc_and_a_schema_for_each(api: Client) -> None:
    tasks = {info["name"]: info for info in api.get("/api/tasks").json()}

    demo = {"add", "mul", "xsum", "sleep", "fail", "flaky", "summarize", "send_mail"}
    assert demo <= set(tasks)
    for name in demo:
        assert tasks[name]["doc"], name
        assert tasks[name]["schema"]["type"] == "object", name
    assert set(tasks["add"]["schema"]["required"]) == {"x", "y"}
