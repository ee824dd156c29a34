"""The health check of each role in each state that an operator meets."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import celery
import pytest

from tests.machine import ahead_of_others
from tests.roles.conftest import PASSWORD, Redis, Role, free_port
from tests.waiting import best_of, stays, wait_until


def remote_control(server: Redis) -> Any:
    client = celery.Celery(broker=f"redis://default:{PASSWORD}@127.0.0.1:{server.port}/0")
    client.conf.broker_transport_options = {"sep": ":"}
    return client.control


def heartbeat(role: Role) -> Path:
    return Path(role.env["RUN_DIR"]) / f"{role.env['INSTANCE']}.heartbeat"


def test_idle_worker_is_alive_and_ready_and_stops_in_under_three_seconds(run_role: Callable[..., Role]) -> None:
    def stop() -> float:
        worker = run_role("worker").wait_ready()
        assert worker.check() is None
        ahead_of_others(worker.process.pid)
        begun = time.monotonic()
        worker.process.terminate()
        assert worker.process.wait(20) == 0
        took = time.monotonic() - begun
        assert "has not started" in (worker.check() or "")
        return took

    best_of(stop, 3, tries=4)


@pytest.mark.slow
def test_busy_worker_is_alive_and_ready(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker").wait_ready()
    for _ in range(3):
        send("sleep", 20)
    wait_until(lambda: redis_server.client.hlen("unacked") >= 2, 10)

    def is_well() -> bool:
        # Far under the 45 s that a check allows, so that the loop is known to turn beside its tasks.
        assert time.time() - heartbeat(worker).stat().st_mtime < 10
        return worker.check() is None and worker.check(ready=True) is None

    stays(is_well, 14)


@pytest.mark.slow
def test_busy_solo_worker_is_alive_for_as_long_as_a_task_may_take(
    run_role: Callable[..., Role], send: Callable[..., str], redis_server: Redis
) -> None:
    worker = run_role("worker", WORKER_POOL="solo", TASK_TIME_LIMIT="90").wait_ready()
    send("sleep", 12)
    wait_until(lambda: redis_server.client.hlen("unacked") == 1, 10)
    # Its loop stands still now; what its file looks like after a longer while is told by its time.
    for age, told in ((110, None), (140, "has not turned")):
        moment = time.time() - age
        os.utime(heartbeat(worker), (moment, moment))
        reason = worker.check()
        assert reason is None if told is None else told in str(reason)
    wait_until(lambda: '"on_success"' in worker.log.read_text(), 30)


def test_worker_without_redis_is_alive_and_not_ready_and_recovers(
    run_role: Callable[..., Role], redis_server: Redis
) -> None:
    worker = run_role("worker").wait_ready()
    redis_server.stop()
    wait_until(lambda: worker.check(ready=True) is not None, 5)
    assert worker.check() is None
    redis_server.start()
    worker.wait_ready(20)
    assert worker.process.poll() is None


def test_worker_that_was_drained_is_alive_and_not_ready(run_role: Callable[..., Role], redis_server: Redis) -> None:
    worker = run_role("worker").wait_ready()
    control = remote_control(redis_server)
    control.cancel_consumer("celery", reply=True)
    wait_until(lambda: "consuming from no queue" in (worker.check(ready=True) or ""), 5)
    assert worker.check() is None
    control.add_consumer("celery", reply=True)
    worker.wait_ready(5)


@pytest.mark.slow
def test_second_beat_stands_by_and_takes_over(run_role: Callable[..., Role]) -> None:
    leader = run_role("beat", "beat-1").wait_ready()
    standby = run_role("beat", "beat-2").wait_ready()
    beats = [leader, standby]
    wait_until(lambda: any("took the lock" in beat.log.read_text() for beat in beats), 5)
    ticking = next(beat for beat in beats if "took the lock" in beat.log.read_text())
    other = next(beat for beat in beats if beat is not ticking)
    assert heartbeat(other).read_text() == "standby"
    ticking.process.kill()
    wait_until(lambda: "took the lock" in other.log.read_text(), 15)
    assert other.check(ready=True) is None


@pytest.mark.slow
@pytest.mark.chaos
def test_beat_lives_through_an_outage_and_ticks_again(run_role: Callable[..., Role], redis_server: Redis) -> None:
    beat = run_role("beat").wait_ready()
    redis_server.stop()
    wait_until(lambda: "not ticking" in beat.log.read_text(), 10)
    assert beat.check(ready=True) is not None
    assert beat.check() is None
    redis_server.start()
    wait_until(lambda: beat.log.read_text().count("took the lock") == 2, 20)
    beat.wait_ready(20)


def test_roles_that_start_without_redis_wait_for_it(run_role: Callable[..., Role], redis_server: Redis) -> None:
    redis_server.stop()
    roles = [run_role("worker"), run_role("beat")]
    for role in roles:
        wait_until(lambda role=role: role.check() is None, 20)  # type: ignore[misc]
        assert role.check(ready=True) is not None
    redis_server.start()
    for role in roles:
        role.wait_ready(20)


def test_web_and_flower_answer_their_checks(run_role: Callable[..., Role], redis_server: Redis) -> None:
    web = run_role("web", WEB_BIND=f"127.0.0.1:{free_port()}", WEB_WORKERS="1", DATABASE_URL="sqlite://:memory:")
    flower = run_role("flower", FLOWER_BIND=f"127.0.0.1:{free_port()}")
    for role in (web, flower):
        role.wait_ready()
    redis_server.stop()
    for role in (web, flower):
        assert role.check() is None
        assert role.check(ready=True) is not None
    web.end()
    os.kill(flower.process.pid, signal.SIGSTOP)
    for role in (web, flower):
        assert "no answer" in (role.check() or "")


def test_web_without_its_database_is_alive_and_names_it(run_role: Callable[..., Role]) -> None:
    bind = f"127.0.0.1:{free_port()}"
    web = run_role("web", WEB_BIND=bind, WEB_WORKERS="1", DATABASE_URL="postgres://nobody@127.0.0.1:1/none")
    wait_until(lambda: web.check() is None, 20)
    assert '"missing": ["database"]' in (web.check(ready=True) or "")


@pytest.mark.slow
@pytest.mark.chaos
def test_what_hangs_for_a_minute_ends_itself_and_what_only_waits_does_not(
    run_role: Callable[..., Role], tmp_path: Path
) -> None:
    """The slow states side by side, because each takes the whole minute."""
    folders = [tmp_path / name for name in ("hung", "down")]
    for folder in folders:
        folder.mkdir()
    hung_redis, no_redis = (Redis(folder) for folder in folders)
    frozen, hung_worker, hung_beat = run_role("worker", "frozen"), run_role("worker", "hung"), run_role("beat", "beat")
    waiting = [
        run_role(role, f"{role}-{name}", server)
        for role in ("worker", "beat")
        for name, server in (("hung", hung_redis), ("down", no_redis))
    ]
    for role in (frozen, hung_worker, hung_beat, *waiting):
        role.wait_ready(60)
    begun = time.monotonic()
    os.kill(frozen.process.pid, signal.SIGSTOP)
    os.kill(hung_worker.process.pid, signal.SIGUSR2)
    os.kill(hung_beat.process.pid, signal.SIGUSR2)
    os.kill(hung_redis.process.pid, signal.SIGSTOP)
    no_redis.stop()
    try:
        # A probe sees each of the three before the hung ones end themselves. Meanwhile what waits for Redis says so,
        # in each of its waits: all of them together take a minute.
        hung, oldest = {frozen, hung_worker, hung_beat}, dict.fromkeys(waiting, 0.0)
        while (passed := time.monotonic() - begun) < 75:
            for role in waiting:
                oldest[role] = max(oldest[role], time.time() - role.heartbeat.stat().st_mtime)
            if 40 < passed < 60:
                hung = {role for role in hung if "has not turned" not in (role.check() or "")}
            time.sleep(1)
        assert not hung
        assert max(oldest.values()) < 25, oldest
        for role in (hung_worker, hung_beat):
            assert role.process.wait(90) == 1
            assert "the main loop has not turned" in role.log.read_text()
        # Redis has been down, or hung, for as long; nobody who waits for it was ended or counts as dead.
        for role in waiting:
            assert role.process.poll() is None, role.log.read_text()[-3000:]
            assert role.check() is None
            assert role.check(ready=True) is not None
    finally:
        hung_redis.process.send_signal(signal.SIGCONT)
        no_redis.start()
    for role in waiting:
        role.wait_ready(40)
    hung_redis.stop()
    no_redis.stop()
