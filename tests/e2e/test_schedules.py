"""Schedules by seconds, crontab and a class of our own, changed at run time without a restart."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.client import Client, lines_of
from tests.e2e.targets import Operated, Target
from tests.waiting import stays, wait_until

PATH = "/api/schedules"


@pytest.fixture
def name(api: Client) -> Iterator[str]:
    """The name of a schedule that is deleted after the test."""
    yield "of-this-test"
    api.call("DELETE", f"{PATH}/of-this-test")


def put(api: Client, schedule: str, status: int = 201, **body: Any) -> dict[str, Any]:
    answer = api.call("PUT", f"{PATH}/{schedule}", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def shown(api: Client, schedule: str) -> dict[str, Any]:
    return next((dict(entry) for entry in api.get(PATH).json() if entry["name"] == schedule), {})


def test_the_tutorials_schedules_are_there_with_their_next_run(api: Client) -> None:
    assert shown(api, "add_every_30_seconds") | {"every": 30, "task": "add", "args": [14, 5]} == shown(
        api, "add_every_30_seconds"
    )
    weekly = shown(api, "xsum_week1_20_20_00")
    assert weekly["crontab"] == "20 20 * * 1"
    run = datetime.fromisoformat(weekly["next_run_at"])
    assert (run.weekday(), run.hour, run.minute, run.second) == (0, 20, 20, 0)


@pytest.mark.slow
def test_the_next_run_is_shown_in_the_time_zone_of_the_settings(operated: Operated, api: Client) -> None:
    assert shown(api, "xsum_week1_20_20_00")["next_run_at"].endswith("T20:20:00+00:00")

    with operated.restarted_with("web", "TIME_ZONE=Asia/Shanghai"):
        assert shown(api, "xsum_week1_20_20_00")["next_run_at"].endswith("T20:20:00+08:00")
        assert shown(api, "add_every_30_seconds")["next_run_at"].endswith("+08:00")


@pytest.mark.runtime
def test_a_new_schedule_runs_without_a_restart_stops_when_off_and_goes_on(api: Client, name: str) -> None:
    put(api, name, task="add", args=[1, 2], every=1, options={"expires": 60, "priority": 3})
    wait_until(lambda: shown(api, name)["total_run_count"] >= 2, 15)

    assert put(api, name, 200, enabled=False)["next_run_at"] is None
    wait_until(lambda: shown(api, name)["enabled"] is False, 5)
    seen: list[int] = []
    # A turn that was under way when it was switched off may still count.
    stays(lambda: bool(seen.append(shown(api, name)["total_run_count"]) or max(seen) - min(seen) <= 1), 5)

    put(api, name, 200, enabled=True)
    wait_until(lambda: shown(api, name)["total_run_count"] > max(seen), 15)
    assert shown(api, name)["options"] == {"expires": 60, "priority": 3}


def test_a_schedule_of_an_own_class_is_switched_off_and_keeps_its_class(api: Client) -> None:
    custom = "mail_on_the_last_business_day"
    try:
        assert "last business day" in put(api, custom, 200, enabled=False)["schedule"]
    finally:
        entry = put(api, custom, 200, enabled=True)
    assert "last business day" in entry["schedule"]
    assert (entry["every"], entry["crontab"], bool(entry["next_run_at"])) == (None, None, True)


def test_a_deleted_schedule_is_gone_and_a_second_deletion_is_404(api: Client, name: str) -> None:
    put(api, name, task="ping", crontab="0 4 * * *")
    assert api.call("DELETE", f"{PATH}/{name}").status_code == 204
    assert shown(api, name) == {}
    assert "GET /api/schedules" in api.error(api.call("DELETE", f"{PATH}/{name}"), 404)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"every": 5}, "task"),
        ({"task": "ping"}, "every"),
        ({"task": "ping", "every": 5, "crontab": "* * * * *"}, "not both"),
        ({"task": "ping", "every": 0.1}, "every"),
        ({"task": "ping", "crontab": "61 * * * *"}, "crontab"),
        ({"task": "ping", "crontab": "soon"}, "crontab"),
        ({"task": "ping", "crontab": "*/ * * * *"}, "crontab"),
        ({"task": "ping", "crontab": "1,,2 * * * *"}, "crontab"),
        ({"task": "ping", "crontab": "-1 * * * *"}, "crontab"),
        ({"task": "os.system", "every": 5}, "no task"),
        ({"task": "add", "args": [1], "every": 5}, "y"),
        ({"task": "ping", "every": 5, "options": {"priority": 99}}, "options.priority: "),
        ({"task": "ping", "every": 5, "options": {"queue": "unacked"}}, "options.queue: 'unacked' is a key "),
        ({"task": "ping", "every": 5, "options": {"queue": "nobody"}}, "It must be one of celery"),
        ({"task": "ping", "every": 5, "options": {"countdown": 9}}, "options.countdown: "),
        ({"enable": False}, "enable: "),
        ({"task": "ping", "crontab": "* * * * *", "relative": True}, "relative: "),
    ],
)
def test_a_schedule_that_cannot_run_says_why(api: Client, name: str, body: dict[str, Any], told: str) -> None:
    message = api.error(api.call("PUT", f"{PATH}/{name}", json=body), 422)
    assert told in message
    assert not message.startswith("body.")
    assert shown(api, name) == {}


def test_a_name_may_have_a_slash(api: Client) -> None:
    try:
        assert put(api, "shop/stock", task="ping", every=3600)["name"] == "shop/stock"
        assert shown(api, "shop/stock")["every"] == 3600
    finally:
        assert api.call("DELETE", f"{PATH}/shop%2Fstock").status_code == 204


def test_a_timedelta_of_the_settings_is_shown_in_seconds(api: Client) -> None:
    assert shown(api, "summarize_every_6_hours")["every"] == 6 * 3600


@pytest.mark.slow
def test_a_relative_schedule_runs_at_full_minutes(api: Client, name: str) -> None:
    assert put(api, name, task="ping", every=3600, relative=True)["next_run_at"][14:19] == "00:00"
    changed = put(api, name, 200, every=60)
    assert (changed["relative"], changed["next_run_at"][17:19]) == (True, "00")

    ran = wait_until(lambda: shown(api, name)["last_run_at"], 70, every=1)

    late = (datetime.fromisoformat(ran) - datetime.fromisoformat(changed["next_run_at"])).total_seconds()
    assert 0 <= late < 10  # beat looks every two seconds


def test_queue_expiry_and_priority_of_a_schedule_reach_its_tasks(operated: Operated, api: Client, name: str) -> None:
    queue = "reports-of-this-test"
    with operated.redis() as admin:
        admin.sadd("stack:queues", queue)  # as a worker did that served it once
        try:
            put(api, name, task="add", args=[1, 2], every=1, options={"queue": queue, "expires": 60, "priority": 3})
            message = json.loads(wait_until(lambda: admin.lindex(f"{queue}:3", 0), 15))
            seen = {entry["name"]: entry for entry in api.get("/api/queues").json()["queues"]}
        finally:
            api.call("DELETE", f"{PATH}/{name}")
            admin.srem("stack:queues", queue)
            stays(lambda: bool(admin.delete(f"{queue}:3") or True), 3)  # one that was under way may yet arrive
    assert (message["headers"]["task"], message["properties"]["priority"]) == ("add", 3)
    left = datetime.fromisoformat(message["headers"]["expires"]) - datetime.now(UTC)
    assert 40 < left.total_seconds() < 61
    assert seen[queue]["waiting"] >= 1
    assert seen[queue]["workers"] == 0


@pytest.mark.runtime
def test_a_change_is_logged_with_what_it_was_before(api: Client, stack: Target) -> None:
    name = f"of-this-test-{uuid4()}"
    put(api, name, task="add", args=[1, 2], crontab="0 4 * * *")
    put(api, name, 200, args=[3, 4])
    assert api.call("DELETE", f"{PATH}/{name}").status_code == 204

    def told() -> list[dict[str, Any]]:
        lines = lines_of(stack.logs("web"), "^schedule changed$", schedule=name)
        assert len(lines) == 3, lines
        return lines

    made, changed, deleted = wait_until(told, 5)
    assert made["before"] is None
    assert [json.loads(line["before"])["args"] for line in (changed, deleted)] == [[1, 2], [3, 4]]
    assert [json.loads(line["after"])["args"] for line in (made, changed)] == [[1, 2], [3, 4]]
    assert deleted["after"] is None
    by = "the API token" if stack.api_token else "anybody: there is no API_TOKEN"
    assert {line["by"] for line in (made, changed, deleted)} == {by}
    assert all(line["ip"] for line in (made, changed, deleted))


@pytest.mark.slow
def test_of_a_thousand_schedules_the_changed_run_and_others_are_on_time(api: Client) -> None:
    names = [f"many-{number}" for number in range(1000)]
    busy = names[::100]
    with ThreadPoolExecutor(4) as pool:
        try:
            list(pool.map(lambda each: put(api, each, task="ping", crontab="0 4 1 1 *"), names))
            assert {entry["name"] for entry in api.get(PATH).json()} >= set(names)
            for each in busy:
                put(api, each, 200, every=1)
            before = shown(api, "add_every_30_seconds")

            def run() -> dict[str, Any]:
                entries = {entry["name"]: entry for entry in api.get(PATH).json()}
                assert min(entries[each]["total_run_count"] for each in busy) >= 5
                assert entries["add_every_30_seconds"]["total_run_count"] > before["total_run_count"]
                return entries

            entries = wait_until(run, 60, every=1)
            assert not [each for each in names if each not in busy and entries[each]["total_run_count"]]
            # Its turn was told before, and it came in time.
            due, ran = before["next_run_at"], entries["add_every_30_seconds"]["last_run_at"]
            late = (datetime.fromisoformat(ran) - datetime.fromisoformat(due)).total_seconds()
            assert 0 <= late % 30 <= 10, (due, ran)
        finally:
            list(pool.map(lambda each: api.call("DELETE", f"{PATH}/{each}"), names))
    assert not {entry["name"] for entry in api.get(PATH).json()} & set(names)
