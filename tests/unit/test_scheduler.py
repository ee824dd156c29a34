"""Beat's runs when Redis breaks off in the middle of one, or the clock is set back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
import time_machine
from celery.schedules import crontab, schedule
from fakeredis import FakeRedis
from kombu.exceptions import OperationalError
from redbeat.schedulers import REDBEAT_REDIS_KEY, ensure_conf

from stack.beat.scheduler import Scheduler
from stack.celery import app
from stack.state.entries import Entry
from stack.state.installing import rescore

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = "redbeat:hourly"


class Lock:
    def extend(self, *_: Any) -> None:
        """Held for ever."""


class Beat(Scheduler):
    """The scheduler with a lock of its own; what it sends and says is kept."""

    def setup_schedule(self) -> None:
        super().setup_schedule()
        self.from_settings, self.states = {}, list[str]()
        self.heartbeat: Any = self
        self.producer = None  # it would connect

    def turn(self, state: str) -> None:
        self.states.append(state)

    def _take_lock(self) -> bool:
        self.lock = Lock()
        return True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRedis]:
    client = FakeRedis(decode_responses=True)
    ensure_conf(app)
    monkeypatch.setattr(app, REDBEAT_REDIS_KEY, client, raising=False)
    with time_machine.travel(NOW, tick=False):
        yield client
    client.close()


def hourly(ran_at: datetime) -> Entry:
    entry = Entry(name="hourly", task="ping", schedule=schedule(3600.0), args=[], kwargs={}, options={}, app=app)
    entry.last_run_at, entry.total_run_count = ran_at, 5
    return entry.save()


def test_a_run_that_redis_does_not_take_is_sent_once_when_it_does(
    server: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    hourly(NOW - timedelta(hours=2))
    sent, asked = [], []

    def send(_: Any, name: str, *__: Any, **___: Any) -> None:
        asked.append(name)
        if len(asked) == 1:
            raise OperationalError("Timeout reading from socket")
        sent.append(name)

    monkeypatch.setattr("celery.Celery.send_task", send)
    beat = Beat(app=app)

    for _ in range(4):
        beat.tick()

    assert sent == ["ping"]
    assert beat.states[0] == "waiting for Redis"
    assert beat.states[-1] == "ready"
    assert Entry.from_key(KEY, app=app).total_run_count == 6


def test_a_run_is_not_lost_when_redis_does_not_say_that_it_noted_it(
    server: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    hourly(NOW - timedelta(hours=2))
    sent: list[str] = []
    monkeypatch.setattr("celery.Celery.send_task", lambda _, name, *__, **___: sent.append(name))
    note = server.set

    def lost_answer(*arguments: Any, **options: Any) -> None:
        note(*arguments, **options)
        monkeypatch.setattr(server, "set", note)
        raise redis.TimeoutError("Timeout reading from socket")

    monkeypatch.setattr(server, "set", lost_answer)
    beat = Beat(app=app)

    for _ in range(3):
        beat.tick()

    assert sent == ["ping"]


def test_a_clock_that_was_ahead_does_not_silence_beat(server: FakeRedis) -> None:
    entry = hourly(NOW + timedelta(days=1))
    assert entry.is_due().next <= 3600
    server.zadd("redbeat::schedule", {KEY: (NOW + timedelta(days=1, hours=1)).timestamp()})

    rescore(app)

    assert server.zscore("redbeat::schedule", KEY) == pytest.approx((NOW + timedelta(hours=1)).timestamp(), abs=1)


def test_after_a_change_of_the_time_zone_beat_looks_when_the_new_one_says(
    server: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    rescore(app)
    nine = Entry(name="nine", task="ping", schedule=crontab(minute=0, hour=9), args=[], kwargs={}, options={}, app=app)
    nine.last_run_at, nine.total_run_count = NOW.replace(hour=9), 5
    nine.save()
    assert server.zscore("redbeat::schedule", "redbeat:nine") == NOW.replace(day=23, hour=9).timestamp()

    monkeypatch.setattr(app, "timezone", ZoneInfo("Asia/Shanghai"))
    rescore(app)

    assert server.zscore("redbeat::schedule", "redbeat:nine") == NOW.replace(day=23, hour=1).timestamp()


def test_a_run_that_failed_just_before_an_outage_is_not_lost(
    server: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    hourly(NOW - timedelta(hours=2))
    sent, asked = [], []

    def send(_: Any, name: str, *__: Any, **options: Any) -> None:
        asked.append(name)
        if len(asked) == 1:
            for word in ("hset", "hget"):
                monkeypatch.setattr(server, word, lost(word, getattr(server, word)))
            raise redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
        sent.append(name)

    def lost(name: str, command: Any) -> Any:
        def once(*_: Any, **__: Any) -> None:
            monkeypatch.setattr(server, name, command)
            raise redis.ConnectionError("Connection refused")

        return once

    monkeypatch.setattr("stack.beat.scheduler.describe", lambda *_: "a broken key")
    monkeypatch.setattr(Beat, "_wrong_key_of", lambda *_: None)
    monkeypatch.setattr("celery.Celery.send_task", send)
    beat = Beat(app=app)

    for _ in range(6):
        beat.tick()

    assert sent == ["ping"]
    assert Entry.from_key(KEY, app=app).total_run_count == 6
