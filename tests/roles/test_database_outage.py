"""Beat with django_celery_beat's rows in PostgreSQL, which goes away: two beats live on, and no run is sent twice."""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from tests.roles import postgres
from tests.roles.conftest import Redis, Role
from tests.roles.postgres import Postgres
from tests.roles.test_any_scheduler import DATABASE, migrate, moments, offset_of, slots, variables
from tests.waiting import stays, wait_until

AWAY = 8  # seconds
SCHEDULER = variables(str(DATABASE.values[0]))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("postgres"),
    pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing()),
    *DATABASE.marks,
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres()
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    env |= SCHEDULER | {"DATABASE_URL": server.url, "RUN_DIR": str(tmp_path_factory.mktemp("migrate"))}
    migrate(env | {"SECRET_KEY": "k" * 50, "REDIS_PASSWORD": "unused"})
    yield server
    server.remove()


@pytest.fixture
def beats(database: Postgres, run_role: Callable[..., Role], redis_server: Redis) -> list[Role]:
    """Two beats that send a task each second; the first of the list leads."""
    if database.process.poll() is not None:
        database.start()  # a test that failed has left it so
    beats = [run_role("beat", f"beat-{number}", DATABASE_URL=database.url, **SCHEDULER) for number in (1, 2)]
    for beat in beats:
        beat.wait_ready()
    wait_until(lambda: len(moments(redis_server)) >= 3, 20)
    return sorted(beats, key=lambda beat: "took the lock" not in beat.log.read_text())


def sent_once(server: Redis, most: float) -> None:
    """No second has two runs, and at most so many in all have none: those that one run made up for."""
    sent = slots(moments(server), offset_of(server))
    assert len(sent) == len(set(sent)), sent
    assert sent[-1] - sent[0] + 1 - len(sent) <= most, sent


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_two_beats_live_through_an_outage_of_their_database(
    how: str, database: Postgres, beats: list[Role], redis_server: Redis
) -> None:
    begun = time.time()
    away, back = {"stopped": (database.stop, database.start), "frozen": (database.freeze, database.thaw)}[how]
    away()
    stays(lambda: all(beat.process.poll() is None and beat.check() is None for beat in beats), AWAY)
    back()
    lasted = time.time() - begun

    for beat in beats:
        beat.wait_ready(20)
    before = len(moments(redis_server))
    wait_until(lambda: len(moments(redis_server)) >= before + 4, 20)
    assert [beat.process.poll() for beat in beats] == [None, None]
    sent_once(redis_server, lasted + 3)
    # django_celery_beat notes it with a traceback, several times a second.
    lines = [line for beat in beats for line in beat.log.read_text().splitlines() if "Database gave error" in line]
    assert len(lines) == 1, lines
    assert "Traceback" not in lines[0]


def test_a_leader_that_is_killed_in_the_outage_is_followed_when_it_is_over(
    database: Postgres, beats: list[Role], redis_server: Redis
) -> None:
    leader, other = beats
    begun, pace = time.time(), offset_of(redis_server)
    database.stop()
    leader.process.kill()
    wait_until(lambda: "the database says" in (other.check(ready=True) or ""), 20)
    assert other.check() is None
    database.start()
    lasted = time.time() - begun

    other.wait_ready(20)
    before = len(moments(redis_server))
    wait_until(lambda: len(moments(redis_server)) >= before + 4, 20)
    assert other.process.poll() is None
    sent_once(redis_server, lasted + 5)
    assert offset_of(redis_server) == pytest.approx(pace, abs=0.001)  # it goes on from the last run, not from its start
