"""Beat with any scheduler class: one leader, no run twice, no exit in an outage, and it goes on where it was."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.roles.conftest import PROJECT, Redis, Role
from tests.waiting import wait_until

PERSISTENT, OWN = "celery.beat:PersistentScheduler", "own_scheduler:Own"
DATABASE = pytest.param(
    "django_celery_beat.schedulers:DatabaseScheduler",
    marks=pytest.mark.skipif(
        subprocess.call([sys.executable, "-c", "import django_celery_beat"], stderr=subprocess.DEVNULL) != 0,
        reason="django_celery_beat is not installed: `make lock` and `make .venv` do",
    ),
)
REDBEAT = "redbeat:RedBeatScheduler"
EVERY = [PERSISTENT, DATABASE, OWN, REDBEAT]
SETTINGS = "any_scheduler_settings"


def variables(scheduler: str) -> dict[str, str]:
    path = os.pathsep.join([str(PROJECT / "tests/roles/modules"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"DJANGO_SETTINGS_MODULE": SETTINGS, "TEST_SCHEDULER": scheduler, "PYTHONPATH": path}


@pytest.fixture
def run_beat(run_role: Callable[..., Role], tmp_path: Any) -> Callable[..., Role]:
    """Start a beat with a scheduler: run_beat(scheduler, instance)."""

    def run(scheduler: str, instance: str = "beat") -> Role:
        return run_role("beat", instance, **variables(scheduler))

    return run


def migrate(role_env: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "migrate", "--noinput", "-v", "0"]
    subprocess.check_call(command, cwd=PROJECT / "app", env=role_env | {"SERVICE_ROLE": "migrate"})


@pytest.fixture
def prepared(redis_server: Redis, tmp_path: Any) -> Callable[[str], None]:
    """Make the tables that a scheduler needs."""

    def prepare(scheduler: str) -> None:
        if "django_celery_beat" in scheduler:
            env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
            env |= variables(scheduler) | {
                "REDIS_URL": f"redis://default@127.0.0.1:{redis_server.port}/0",
                "REDIS_PASSWORD": "only-for-this-test",
                "SECRET_KEY": "k" * 50,
                "RUN_DIR": str(tmp_path),
            }
            migrate(env)

    return prepare


def moments(server: Redis, task: str = "ping") -> list[float]:
    """When each run of a task was sent, in Unix seconds."""
    records = [server.client.hgetall(key) for key in server.client.scan_iter("stack:task:*")]
    return sorted(float(record["queued_at"]) for record in records if record.get("name") == task)


def slots(sent: list[float], offset: float) -> list[int]:
    """The seconds for which these were sent, if seconds begin at `offset`."""
    return [int(moment - offset) for moment in sent]


def offset_of(server: Redis) -> float:
    """Where in a second the runs are due."""
    (text,) = [
        each for name, each in server.client.hgetall("stack:beat:runs").items() if name in ("each second", "own")
    ]
    return datetime.fromisoformat(json.loads(text)["at"]).timestamp() % 1


@pytest.mark.parametrize(
    "scheduler", [DATABASE, *(pytest.param(each, marks=pytest.mark.slow) for each in (PERSISTENT, OWN))]
)
def test_two_beats_of_any_scheduler_run_each_second_once(
    scheduler: str, run_beat: Callable[..., Role], redis_server: Redis, prepared: Callable[[str], None]
) -> None:
    beats = [run_beat(scheduler, f"beat-{number}") for number in (1, 2)]
    if "django_celery_beat" in scheduler:
        wait_until(
            lambda: any("the database says: no such table" in (beat.check(ready=True) or "") for beat in beats), 20
        )
        wait_until(lambda: [beat.check() for beat in beats] == [None, None], 20)
    prepared(scheduler)
    for beat in beats:
        beat.wait_ready()
    wait_until(lambda: len(moments(redis_server)) >= 2, 15)
    leader = next(beat for beat in beats if "took the lock" in beat.log.read_text())
    assert {beat.heartbeat.read_text() for beat in beats} == {"ready", "standby"}

    leader.process.terminate()
    assert leader.process.wait(15) == 0
    before = len(moments(redis_server))
    wait_until(lambda: len(moments(redis_server)) >= before + 3, 15)

    sent = slots(moments(redis_server), offset_of(redis_server))
    assert len(sent) == len(set(sent)), sent
    # The other one takes over within a second or two, and makes up for what passed meanwhile by one run.
    assert sent[-1] - sent[0] + 1 - len(sent) <= 2, sent


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", EVERY)
def test_a_killed_leader_and_an_outage_lose_and_repeat_no_run(
    scheduler: str, run_beat: Callable[..., Role], redis_server: Redis, prepared: Callable[[str], None]
) -> None:
    prepared(scheduler)
    beats = [run_beat(scheduler, f"beat-{number}") for number in (1, 2)]
    for beat in beats:
        beat.wait_ready()
    wait_until(lambda: len(moments(redis_server)) >= 3, 15)
    leader = next(beat for beat in beats if "took the lock" in beat.log.read_text())
    (other,) = (beat for beat in beats if beat is not leader)
    leader.process.kill()
    killed = time.time()
    wait_until(lambda: "took the lock" in other.log.read_text(), 15)
    assert time.time() - killed < 13.5

    before = len(moments(redis_server))
    wait_until(lambda: len(moments(redis_server)) >= before + 3, 15)
    redis_server.stop()
    wait_until(lambda: other.check(ready=True), 10)
    assert other.check() is None
    redis_server.start()
    other.wait_ready(30)
    before = len(moments(redis_server))
    wait_until(lambda: len(moments(redis_server)) >= before + 3, 15)

    assert other.process.poll() is None
    if scheduler == REDBEAT:
        return  # its entries keep no pace: tests/unit/test_scheduler.py has what it promises
    sent = slots(moments(redis_server), offset_of(redis_server))
    assert len(sent) == len(set(sent)), sent


@pytest.mark.slow
def test_a_beat_that_starts_again_goes_on_from_the_last_run(run_beat: Callable[..., Role], redis_server: Redis) -> None:
    beat = run_beat(PERSISTENT).wait_ready()
    wait_until(lambda: len(moments(redis_server)) >= 2, 15)
    offset = offset_of(redis_server)
    beat.process.kill()
    beat.process.wait(5)
    redis_server.client.delete("redbeat::lock")
    # A container's file is gone with it.
    for file in beat.heartbeat.parent.glob("beat.schedule*"):
        file.unlink()

    before = len(moments(redis_server))
    run_beat(PERSISTENT).wait_ready()
    wait_until(lambda: len(moments(redis_server)) >= before + 2, 15)

    assert offset_of(redis_server) == pytest.approx(offset, abs=0.001)
    sent = slots(moments(redis_server), offset)
    assert len(sent) == len(set(sent)), sent


@pytest.mark.slow
def test_the_run_of_an_entry_that_is_long_gone_is_forgotten(run_beat: Callable[..., Role], redis_server: Redis) -> None:
    now = datetime.now(UTC)
    runs = {
        name: json.dumps({"at": at.isoformat(), "by": "", "count": 1, "rule": "every 60.0 False"})
        for name, at in {"long ago": now - timedelta(days=32), "lately": now - timedelta(days=30)}.items()
    }
    redis_server.client.hset("stack:beat:runs", mapping=runs | {"broken": "no run"})

    beat = run_beat(PERSISTENT)
    beat.wait_ready()

    wait_until(lambda: redis_server.client.hmget("stack:beat:runs", "long ago", "broken") == [None, None], 10)
    assert redis_server.client.hget("stack:beat:runs", "lately") == runs["lately"]


def test_a_scheduler_that_cannot_be_imported_stops_beat_by_name(run_beat: Callable[..., Role]) -> None:
    beat = run_beat("shop.beat:Scheduler")
    assert beat.process.wait(30) == 1
    assert "CELERY_BEAT_SCHEDULER='shop.beat:Scheduler' cannot be imported" in beat.log.read_text()
