"""Schedules by seconds, crontab and a class of our own, changed at run time without a restart."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.supervisor import Supervisor
from tests.e2e.targets import Target
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


def test_the_next_run_is_shown_in_the_time_zone_of_the_settings(vm: Supervisor, api: Client) -> None:
    assert shown(api, "xsum_week1_20_20_00")["next_run_at"].endswith("T20:20:00+00:00")

    with vm.restarted_with("web", "TIME_ZONE=Asia/Shanghai"):
        assert shown(api, "xsum_week1_20_20_00")["next_run_at"].endswith("T20:20:00+08:00")
        assert shown(api, "add_every_30_seconds")["next_run_at"].endswith("+08:00")


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


def test_a_schedule_of_a_class_of_our_own_can_be_switched_off_and_keeps_its_class(api: Client) -> None:
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
        ({"task": "os.system", "every": 5}, "no task"),
        ({"task": "add", "args": [1], "every": 5}, "y"),
        ({"task": "ping", "every": 5, "options": {"priority": 99}}, "priority"),
    ],
)
def test_a_schedule_that_cannot_run_says_why(api: Client, name: str, body: dict[str, Any], told: str) -> None:
    assert told in api.error(api.call("PUT", f"{PATH}/{name}", json=body), 422)
    assert shown(api, name) == {}


def test_a_change_is_logged_with_what_it_was_before(api: Client, stack: Target, name: str) -> None:
    put(api, name, task="add", args=[1, 2], crontab="0 4 * * *")
    put(api, name, 200, args=[3, 4])
    wait_until(
        lambda: [line for line in stack.logs("web").splitlines() if "schedule changed" in line and name in line], 5
    )


def test_a_thousand_schedules_are_kept_listed_and_deleted(api: Client) -> None:
    names = [f"many-{number}" for number in range(1000)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: put(api, each, task="ping", crontab="0 4 1 1 *"), names))
        try:
            listed = {entry["name"] for entry in api.get(PATH).json()}
            assert listed >= set(names)
        finally:
            list(pool.map(lambda each: api.call("DELETE", f"{PATH}/{each}"), names))
    assert not {entry["name"] for entry in api.get(PATH).json()} & set(names)
