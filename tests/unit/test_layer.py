"""The layer around a scheduler class: which runs are sent, over takeovers, outages and changes of the clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import time_machine
from celery import Celery
from celery.beat import PersistentScheduler, ScheduleEntry, SchedulingError
from celery.schedules import crontab, schedule
from fakeredis import FakeRedis
from redbeat import RedBeatScheduler

from stack.beat import layer
from stack.beat.layer import make
from stack.beat.scheduler import Scheduler
from stack.state import runs

NOW = datetime(2026, 11, 22, 11, 59, 30, tzinfo=UTC)
TEN = {"ten": {"task": "ping", "schedule": 10.0}}
NOON = {"noon": {"task": "ping", "schedule": crontab(minute=0, hour=12)}}


class Lock:
    def extend(self, *_: Any) -> None:
        """Held for ever."""


class Base(PersistentScheduler):
    """Celery's own, whose messages are kept."""

    producer = None
    sent: list[str]
    broken: Exception | None = None

    def apply_async(self, entry: Any, **options: Any) -> Any:
        if self.broken:
            problem, self.broken = self.broken, None
            try:
                raise problem
            except Exception as error:
                raise SchedulingError("Couldn't apply scheduled task") from error
        self.sent.append(entry.name)


class Beats:
    """Beats of one project, each in a container of its own, which have the lock when the test says so."""

    def __init__(self, folder: Path, clock: Any):
        self.folder, self.clock, self.sent = folder, clock, list[str]()
        self.all: list[Any] = []

    def new(self, entries: dict[str, Any], zone: str = "UTC") -> Any:
        app = Celery(set_as_current=False)
        app.conf.update(
            redbeat_redis_url="redis://127.0.0.1:1", redbeat_redis_options={}, timezone=zone, result_expires=None
        )
        app.conf.beat_schedule = entries
        file = self.folder / str(len(list(self.folder.iterdir())))
        beat: Any = make(Base)(app, schedule_filename=str(file), max_interval=2)
        beat.sent, beat.states = self.sent, list[str]()
        beat.lock, beat.heartbeat = Lock(), beat
        beat.turn = beat.states.append
        self.all.append(beat)
        return beat

    def close(self) -> None:
        """Their files, in the thread that opened them: from Python 3.13 on they are SQLite's."""
        for beat in self.all:
            if beat._store is not None:
                beat._store.close()

    def at(self, seconds: float, *beats: Any) -> list[str]:
        """What these beats send that look `seconds` after NOW."""
        before = len(self.sent)
        self.clock.move_to(NOW + timedelta(seconds=seconds), tick=False)
        for beat in beats:
            for _ in range(3):
                beat.tick()
        return self.sent[before:]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRedis]:
    client = FakeRedis(decode_responses=True)
    for module in (runs, layer):
        monkeypatch.setattr(module, "client", lambda: client)
    yield client
    client.close()


@pytest.fixture
def beats(server: FakeRedis, tmp_path: Path) -> Iterator[Beats]:
    with time_machine.travel(NOW, tick=False) as clock:
        found = Beats(tmp_path, clock)
        yield found
        found.close()


def noted(server: FakeRedis, name: str = "ten") -> float:
    """For which moment an entry ran last, in seconds after NOW."""
    run = runs.loads(server.hget(runs.RUNS, name))
    assert run
    return (run.at - NOW).total_seconds()


def test_an_interval_keeps_its_pace_however_late_beat_looks(beats: Beats, server: FakeRedis) -> None:
    beat = beats.new(TEN)
    assert [beats.at(each, beat) for each in (0, 9.9, 10.4, 15, 20.9, 30.1)] == [[], [], ["ten"], [], ["ten"], ["ten"]]
    assert noted(server) == 30


def test_turns_that_passed_unseen_are_made_up_by_one_run(beats: Beats, server: FakeRedis) -> None:
    beat = beats.new(TEN)
    beats.at(0, beat)
    assert beats.at(47, beat) == ["ten"]
    assert noted(server) == 40
    assert beats.at(50.1, beat) == ["ten"]


def test_a_new_leader_goes_on_from_the_last_run_and_none_is_sent_twice(beats: Beats, server: FakeRedis) -> None:
    old = beats.new(TEN)
    beats.at(0, old)
    assert beats.at(10.2, old) == ["ten"]
    new = beats.new(TEN)
    assert beats.at(15, new) == []
    # The old one has not noticed that it lost the lock.
    assert beats.at(20.1, new, old) == ["ten"]
    assert beats.at(30.1, old, new) == ["ten"]
    assert beats.at(40.1, old, new, beats.new(TEN)) == ["ten"]


def test_a_crontab_runs_once_over_a_takeover(beats: Beats) -> None:
    old = beats.new(NOON)
    assert beats.at(0, old) == []
    assert beats.at(30.5, old) == ["noon"]
    new = beats.new(NOON)
    assert beats.at(32, new, old) == []
    assert beats.at(86400 + 31, old, new) == ["noon"]


def test_a_crontab_that_never_ran_is_made_up_when_nobody_led_at_its_time(beats: Beats) -> None:
    beats.at(0, beats.new(NOON))
    assert beats.at(40, beats.new(NOON)) == ["noon"]


def test_another_rule_counts_from_the_moment_it_is_seen(beats: Beats) -> None:
    beats.at(0, beats.new(NOON))
    five = {"noon": {"task": "ping", "schedule": crontab(minute=5, hour=12)}}
    # At ten past twelve. Before, it had not this rule.
    assert beats.at(640, beats.new(five)) == []
    assert beats.at(86400 + 331, beats.new(five)) == ["noon"]


def test_a_run_is_sent_once_when_redis_does_not_say_that_it_noted_it(
    beats: Beats, server: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = beats.new(TEN)
    beats.at(0, beat)
    claim = runs.claim

    def lost_answer(*arguments: str) -> str:
        claim(*arguments)
        monkeypatch.setattr(runs, "claim", claim)
        raise redis.TimeoutError("Timeout reading from socket")

    monkeypatch.setattr(runs, "claim", lost_answer)
    monkeypatch.setattr(beat, "_take_lock", lambda: bool(setattr(beat, "lock", Lock())) or True)
    assert beats.at(10.5, beat) == ["ten"]
    assert "waiting for Redis" in beat.states
    assert beats.at(20.5, beat) == ["ten"]


@pytest.mark.parametrize("other", [False, True])
def test_a_run_that_redis_refused_is_sent_later_unless_another_beat_was(
    other: bool, beats: Beats, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = beats.new(TEN)
    beats.at(0, beat)
    beat.broken = redis.ConnectionError("Connection refused")
    monkeypatch.setattr(beat, "_take_lock", lambda: False)
    assert beats.at(10.5, beat) == []
    assert beat.states[-1] == "standby"

    if other:
        assert beats.at(20.5, beats.new(TEN)) == ["ten"]
    beat.lock = Lock()
    assert beats.at(21, beat) == ["ten"] * (0 if other else 2)
    assert beats.at(30.5, beat) == ["ten"]


def test_an_entry_that_cannot_be_sent_holds_back_no_other(beats: Beats, caplog: pytest.LogCaptureFixture) -> None:
    beat = beats.new(TEN | {"other": TEN["ten"]})
    beats.at(0, beat)
    beat.broken = TypeError("missing an argument")
    assert len(beats.at(10.5, beat)) == 1
    assert "cannot be sent: missing an argument" in caplog.text
    assert len(beats.at(20.5, beat)) == 2


def test_a_clock_that_was_ahead_does_not_silence_beat(beats: Beats) -> None:
    beats.at(86400, beats.new(TEN))
    assert beats.at(0, beat := beats.new(TEN)) == []
    assert beats.at(10.1, beat) == ["ten"]


def test_data_that_redis_lost_costs_no_run(beats: Beats, server: FakeRedis) -> None:
    beat = beats.new(TEN)
    beats.at(0, beat)
    server.flushall()
    assert beats.at(10.1, beat) == ["ten"]
    assert beats.at(20.1, beat, beats.new(TEN)) == ["ten"]


def test_what_is_no_run_in_redis_is_replaced(beats: Beats, server: FakeRedis) -> None:
    server.hset(runs.RUNS, "ten", "no JSON")
    beat = beats.new(TEN)
    beats.at(0, beat)
    assert beats.at(10.1, beat) == ["ten"]


def test_the_hours_of_a_night_in_which_clocks_change_have_their_runs(beats: Beats) -> None:
    hour = {"hour": {"task": "ping", "schedule": 3600.0}}
    start = (datetime(2026, 10, 25, 0, 30, tzinfo=UTC) - NOW).total_seconds()
    beats.at(start - 3600, beat := beats.new(hour, zone="Europe/Berlin"))
    assert [beats.at(start + 3600 * each + 1, beat) for each in range(4)] == [["hour"]] * 4


def test_redbeats_own_is_the_stacks_and_a_kind_of_it_keeps_what_it_changes() -> None:
    class Own(RedBeatScheduler):
        def maybe_due(self, entry: Any, **options: Any) -> Any:
            return super().maybe_due(entry, **options)

    assert make(RedBeatScheduler) is Scheduler
    assert make(Scheduler) is Scheduler
    order = make(Own).__mro__
    assert order.index(Scheduler) < order.index(Own) < order.index(RedBeatScheduler)


@pytest.mark.parametrize(
    ("every", "last", "slot"),
    [
        (schedule(10), 0, 20),
        (schedule(7), 0, 21),
        (schedule(60, relative=True), -60, 25),
        (crontab(), -60, 25),
    ],
)
def test_the_moment_for_which_an_entry_runs(every: Any, last: float, slot: float) -> None:
    entry = ScheduleEntry("e", "ping", NOW + timedelta(seconds=last), 1, every, app=Celery(set_as_current=False))
    assert runs.slot_of(entry, NOW + timedelta(seconds=25)) == NOW + timedelta(seconds=slot)
