"""Beat in the nights in which clocks change: real zones, the real loop and Redis, five minutes a turn."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.machine import patience
from tests.roles.conftest import PROJECT, Redis

PACES = ("ten-minutes", "*/10 * * * *")


NIGHTS = [
    # Spring: Berlin leaves out 02:00 to 03:00, New York too, Lord Howe 02:00 to 02:30.
    ("Europe/Berlin", "2027-03-27 23:55", "+01:00 +02:00"),
    ("America/New_York", "2027-03-13 23:55", "-05:00 -04:00"),
    ("Australia/Lord_Howe", "2027-10-02 23:55", "+10:30 +11:00"),
    # Autumn: Berlin has 02:00 to 03:00 twice, New York 01:00 to 02:00, Lord Howe 01:30 to 02:00.
    ("Europe/Berlin", "2026-10-24 23:55", "+02:00 +01:00"),
    ("America/New_York", "2026-10-31 23:55", "-04:00 -05:00"),
    ("Australia/Lord_Howe", "2027-04-03 23:55", "+11:00 +10:30"),
]


# Each night is lived once: what is asked of one goes to the same process of the tests.
@pytest.fixture(
    params=[
        pytest.param(night, id=f"{night[0]}-{night[1][:7]}", marks=pytest.mark.xdist_group(f"{night[0]} {night[1]}"))
        for night in NIGHTS
    ],
    scope="module",
)
def night(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Zone and offsets of one night, and what beat sent until six in the morning."""
    zone, start, offsets = request.param
    folder: Path = tmp_path_factory.mktemp("night")
    server = Redis(folder)
    place = {"TIME_ZONE": zone, "SERVICE_ROLE": "beat", "PYTHONPATH": str(PROJECT / "app")}
    env = os.environ | server.known(folder) | place
    command = [sys.executable, str(PROJECT / "tests/roles/modules/night.py"), start, "7"]
    try:
        seen = json.loads(subprocess.check_output(command, env=env, text=True, timeout=patience(200)))
    finally:
        server.stop()
    return zone, offsets.split(), {name: [text[11:] for text in runs] for name, runs in seen["sent"].items()}, seen


def gaps(seen: dict[str, Any], name: str) -> set[timedelta]:
    moments = [datetime.fromisoformat(text) for text in seen["sent"][name]]
    return {later - earlier for earlier, later in pairwise(moments)}


def test_what_runs_every_ten_minutes_keeps_its_pace(night: Any) -> None:
    seen = night[3]
    for name in PACES:
        assert gaps(seen, name) == {timedelta(minutes=10)}, name
        assert len(seen["sent"][name]) >= 42


def test_every_run_comes_when_the_api_had_announced_it(night: Any) -> None:
    assert night[3]["wrong"] == []


def test_a_daily_run_after_the_change_is_on_time(night: Any) -> None:
    _, (_, after), sent, _ = night
    assert sent["0 5 * * *"] == [f"05:00{after}"]


def test_a_time_that_exists_twice_runs_once_and_a_missing_one_later(night: Any) -> None:
    zone, (before, after), sent, seen = night
    spring = seen["sent"]["0 5 * * *"][0][5:7] in (("03",) if zone != "Australia/Lord_Howe" else ("10",))
    early, twice = sent["45 1 * * *"], sent["15,45 2 * * *"]

    assert early == [f"01:45{before}"]
    if not spring:
        first = before if zone == "Europe/Berlin" else after
        assert twice == [f"02:15{first}", f"02:45{first}"]
    elif zone == "Australia/Lord_Howe":
        # 02:15 is left out and runs half an hour later, which is where the other one is.
        assert twice == [f"02:45{after}"]
    else:
        assert twice == [f"03:15{after}", f"03:45{after}"]


def test_what_runs_each_hour_runs_each_time_the_wall_shows_it(night: Any) -> None:
    zone, (before, after), sent, seen = night
    assert len(set(seen["sent"]["0 * * * *"])) == len(sent["0 * * * *"])
    if zone != "Australia/Lord_Howe":  # there the full hours are not one hour apart in such a night
        assert gaps(seen, "0 * * * *") == gaps(seen, "hour-on-the-hour") == {timedelta(hours=1)}
    elif before == "+10:30":
        assert sent["0 * * * *"][1:3] == [f"01:00{before}", f"03:00{after}"]
    else:
        assert sent["0 * * * *"][1:3] == [f"01:00{before}", f"02:00{after}"]
    within = sent["*/30 2 * * *"]
    assert (
        within
        == {
            "Europe/Berlin+01:00": [],
            "America/New_York-05:00": [],
            "Australia/Lord_Howe+10:30": [f"02:30{after}"],
            "Europe/Berlin+02:00": [f"02:00{before}", f"02:30{before}", f"02:00{after}", f"02:30{after}"],
            "America/New_York-04:00": [f"02:00{after}", f"02:30{after}"],
            "Australia/Lord_Howe+11:00": [f"02:00{after}", f"02:30{after}"],
        }[f"{zone}{before}"]
    )
