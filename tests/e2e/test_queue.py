"""Queued tasks: what is asked of a task before it runs. Most of these stop the worker, so that nothing runs early."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e import test_tasks
from tests.e2e.client import Client, lines_of
from tests.e2e.conftest import Stopped
from tests.e2e.targets import Operated, Target
from tests.waiting import wait_until


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


@pytest.mark.runtime
def test_without_a_worker_the_round_trip_test_fails(api: Client, stopped: Stopped) -> None:
    """The negative control: the test that proves the chain must see when a link is missing."""
    with stopped("worker"), pytest.raises(AssertionError, match="not ready within"):
        test_tasks.test_a_task_makes_the_round_trip_within_seconds(api)


def test_a_queued_task_is_pending_and_runs_when_a_worker_comes(api: Client, stopped: Stopped) -> None:
    with stopped("worker"):
        task_id = api.submit("mul", 3, 4)
        queued = api.state(task_id)

    assert (queued["state"], queued["ready"], queued["started_at"]) == ("PENDING", False, None)
    assert queued["queued_at"]
    assert api.done(task_id)["result"] == 12


@pytest.mark.runtime
def test_a_revoked_task_never_starts(api: Client, stack: Target, stopped: Stopped) -> None:
    with stopped("worker"):
        revoked, kept = api.submit("add", 1, 2), api.submit("add", 3, 4)
        # Asking again, as after a lost answer, is no mistake.
        answers = [api.call("DELETE", f"/api/tasks/{revoked}") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert api.state(revoked)["state"] == "REVOKED"

    # The queue is in order: once the second is done, the worker has been past the first.
    assert api.done(kept)["result"] == 7
    after = api.run("add", 5, 6)
    assert after["state"] == "SUCCESS"
    wait_until(lambda: lines_of(stack.logs("worker"), "^on_success$", task_id=kept), 5)
    assert not lines_of(stack.logs("worker"), "^on_success$", task_id=revoked)
    record = api.state(revoked)
    assert (record["state"], record["ready"], record["started_at"]) == ("REVOKED", True, None)


def test_revoking_a_done_task_is_a_409(api: Client) -> None:
    done = api.run("add", 1, 2)

    assert "done" in api.error(api.call("DELETE", f"/api/tasks/{done['id']}"), 409)


def test_revoking_a_running_task_is_a_409_and_it_goes_on(api: Client) -> None:
    task_id = api.submit("sleep", 2)
    api.reaches(task_id, "STARTED")

    api.error(api.call("DELETE", f"/api/tasks/{task_id}"), 409)

    assert api.done(task_id)["state"] == "SUCCESS"


def test_a_task_that_waits_for_its_retry_can_be_revoked(api: Client, stack: Target) -> None:
    task_id = api.submit("flaky", 4)
    api.reaches(task_id, "RETRY")

    assert api.call("DELETE", f"/api/tasks/{task_id}").status_code == 202
    assert api.state(task_id)["state"] == "REVOKED"

    # A later task of the same delay has had its turn by the time this one would have been tried again.
    assert api.run("add", 1, 1, countdown=5)["result"] == 2
    assert api.state(task_id)["state"] == "REVOKED"
    assert len(lines_of(stack.logs("worker"), "^flaky runs$", id=task_id)) == 1


def test_a_countdown_and_an_eta_hold_a_task_back(api: Client) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    ids = [api.submit("add", 1, 1, countdown=3), api.submit("add", 1, 1, eta=soon)]
    assert [api.state(task_id)["state"] for task_id in ids] == ["PENDING", "PENDING"]

    delayed, timed = (api.done(task_id) for task_id in ids)
    assert (delayed["state"], timed["state"]) == ("SUCCESS", "SUCCESS")
    assert seconds_between(delayed["queued_at"], delayed["started_at"]) > 2.5
    assert seconds_between(soon, timed["started_at"]) > -0.5


def test_a_delay_beyond_the_cap_is_a_422_that_names_the_cap(api: Client) -> None:
    far = (datetime.now(UTC) + timedelta(days=2)).isoformat()

    assert "countdown" in api.error(api.post("add", {"args": [1, 1], "countdown": 172_800}), 422)
    assert "eta" in api.error(api.post("add", {"args": [1, 1], "eta": far}), 422)
    both = {"args": [1, 1], "countdown": 1, "eta": datetime.now(UTC).isoformat()}
    assert "eta" in api.error(api.post("add", both), 422)


def test_a_task_that_expired_in_the_queue_never_runs(api: Client, stack: Target, stopped: Stopped) -> None:
    with stopped("worker"):
        expired, kept = api.submit("add", 1, 1, expires=0.5), api.submit("add", 1, 1, expires=600)

    assert api.done(kept)["state"] == "SUCCESS"
    assert api.done(expired)["state"] == "REVOKED"
    assert not lines_of(stack.logs("worker"), "^on_success$", task_id=expired)


@pytest.mark.slow
def test_a_more_urgent_task_overtakes_those_that_wait(api: Client, stopped: Stopped) -> None:
    with stopped("worker"):
        last = [api.submit("sleep", 0.3, priority=9) for _ in range(4)]
        middle = [api.submit("sleep", 0.3, priority=5) for _ in range(4)]
        first = [api.submit("sleep", 0.3) for _ in range(4)]

    starts = [[api.done(task_id)["started_at"] for task_id in ids] for ids in (first, middle, last)]

    # Each group by its last and first start; two workers may note theirs in another order than they took them.
    for earlier, later in pairwise(starts):
        assert seconds_between(max(earlier), min(later)) > -0.2


def test_one_idempotency_key_makes_one_task(api: Client, stack: Target) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}

    def submit(_: int) -> dict[str, Any]:
        def accepted() -> dict[str, Any]:
            answer = api.post("add", {"args": [20, 1]}, headers=key)
            assert answer.status_code == 202, answer.text  # 409 while the first call with this key is on its way
            return dict(answer.json())

        return wait_until(accepted, 15, every=1)

    with ThreadPoolExecutor(8) as pool:
        ids = {answer["id"] for answer in pool.map(submit, range(16))}

    assert len(ids) == 1
    (task_id,) = ids
    assert api.done(task_id)["result"] == 21
    assert submit(0)["state"] == "SUCCESS"
    assert api.run("add", 1, 1)["state"] == "SUCCESS"
    wait_until(lambda: lines_of(stack.logs("worker"), "^on_success$", task_id=task_id), 5)
    assert len(lines_of(stack.logs("worker"), "^on_success$", task_id=task_id)) == 1


@pytest.mark.parametrize("other", [{"args": [1, 3]}, {"args": [1, 2], "priority": 5}])
def test_an_idempotency_key_for_another_call_is_a_422(api: Client, other: dict[str, Any]) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    assert api.post("add", {"args": [1, 2]}, headers=key).status_code == 202

    assert "Idempotency-Key" in api.error(api.post("add", other, headers=key), 422)
    assert "Idempotency-Key" in api.error(api.post("mul", {"args": [1, 2]}, headers=key), 422)


@pytest.mark.slow
def test_a_full_queue_is_a_429_that_says_when_to_try_again(operated: Operated, api: Client, stopped: Stopped) -> None:
    with stopped("worker"), operated.restarted_with("web", "QUEUE_LIMIT=3"):
        answers = [api.post("add", {"args": [1, 1]}) for _ in range(4)]
        accepted = [answer for answer in answers if answer.status_code == 202]

        # Beat may have sent one of its own.
        assert len(accepted) in (2, 3)
        assert "QUEUE_LIMIT is 3" in api.error(answers[-1], 429)
        assert int(answers[-1].headers["Retry-After"]) > 0

    assert [api.done(answer.json()["id"])["result"] for answer in accepted] == [2] * len(accepted)


@pytest.mark.slow
def test_a_record_that_has_expired_is_a_404(operated: Operated, api: Client, stopped: Stopped) -> None:
    with operated.redis() as admin:
        with stopped("worker"):
            task_id = api.submit("add", 1, 1)
            # Counted from here, for one that never starts.
            assert 86_000 < admin.ttl(f"stack:task:{task_id}") <= 86_400
        api.done(task_id, within=20)
        assert 86_000 < admin.ttl(f"stack:task:{task_id}") <= 86_400
        admin.pexpire(f"stack:task:{task_id}", 1)
        wait_until(lambda: not admin.exists(f"stack:task:{task_id}"), 5)

    assert "expired" in api.error(api.get(f"/api/tasks/{task_id}"), 404)
