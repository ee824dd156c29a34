"""An outage of the database fails no task, in a project that never heard of the stack."""

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.roles import postgres
from tests.roles.conftest import Redis, Role
from tests.roles.ledger import AWAY, Ledger
from tests.roles.postgres import Postgres
from tests.roles.test_presence import note
from tests.waiting import stays, wait_until

pytestmark = [
    pytest.mark.xdist_group("postgres-away"),
    pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing()),
]
GREEN = pytest.mark.skipif(not find_spec("eventlet"), reason="needs eventlet")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture
def database(server: Postgres) -> Postgres:
    if server.process.poll() is not None:
        server.start()  # a test that failed has left it so
    return server


@pytest.fixture
def ledger(
    redis_server: Redis, database: Postgres, run_role: Callable[..., Role], tmp_path: Path
) -> Callable[..., Ledger]:
    return lambda **variables: Ledger(redis_server, database, run_role, tmp_path, **variables)


def waits(worker: Role, why: str = AWAY) -> None:
    """The worker says that it waits, and lives."""

    def says() -> bool:
        said = worker.check(ready=True)
        assert why in (said or ""), f"{said}; log:\n{worker.log.read_text()[-3000:]}"
        return True

    wait_until(says, 20)
    assert worker.check() is None


def test_an_outage_of_the_database_fails_no_task_and_spends_no_retry(
    ledger: Callable[..., Ledger], database: Postgres, redis_server: Redis
) -> None:
    project = ledger()
    worker = project.role("worker", WORKER_CONCURRENCY="4")
    database.stop()
    names = ["at_most_once", "is_not_because_of_it", "elsewhere"]
    failing = project.run(f"[{', '.join(f'{name}.delay().id' for name in names)}]")
    # What is the task's own, or was acknowledged before it started, fails as ever; nobody waits for it.
    assert project.ended(*failing) == ["FAILURE"] * 3
    assert worker.check(ready=True) is None

    # Each slot has one of these when the first of them finds out.
    sent = project.run(
        "[needs_none.apply_async((0,), countdown=3).id]"
        "+ [each.id for each in [read.delay(1, 0.5), autoretry.delay(1), retry_itself.delay(1), wraps_it.delay(1)]]"
        "+ [read.delay(number, 0.1).id for number in range(50)]"
        "+ [chord([read.s(1), read.s(2)])(total.s()).id]"
    )
    waits(worker)
    requeued = ["read", "autoretry", "retry_itself", "wraps_it"]
    wait_until(lambda: all(f"requeued ledger.tasks.{name}[" in worker.log.read_text() for name in requeued), 10)
    wait_until(lambda: AWAY in note(redis_server)["state"], 10)
    assert note(redis_server)["ready"] is False
    wait_until(lambda: redis_server.client.hlen("unacked") == 0, 15)
    assert [project.stored(task_id) for task_id in sent] == ["PENDING"] * len(sent)
    assert {"claim", "started_at"}.isdisjoint(project.record(sent[1]))
    # Two parts of the chord, and no body yet. The first had been taken, and came due: it is requeued, and never began.
    stays(lambda: redis_server.client.llen("celery") == len(sent) + 1, 3)
    assert "needs_none runs" not in worker.log.read_text()

    database.start()
    worker.wait_ready(20)
    assert project.ended(*sent) == ["SUCCESS"] * len(sent)
    assert {project.record(task_id)["retries"] for task_id in sent} == {"0"}
    log = worker.log.read_text()
    assert [line for line in log.splitlines() if "on_retry" in line or "task_retry" in line] == []
    for name in requeued:
        assert f"on_failure of ledger.tasks.{name}" not in log
        assert f"task_failure of ledger.tasks.{name}" not in log
    assert log.count("takes no tasks until it answers") == log.count("answers again: this worker takes tasks") == 1
    assert redis_server.client.llen("celery") == redis_server.client.hlen("unacked") == 0


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "solo", pytest.param("eventlet", marks=GREEN)])
@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_in_every_pool_a_queue_of_tasks_outlives_the_database(
    how: str, pool: str, ledger: Callable[..., Ledger], database: Postgres
) -> None:
    project = ledger()
    worker = project.role("worker", WORKER_POOL=pool)
    sent = project.run("[read.delay(number, 0.1).id for number in range(50)]")
    away, back = {"stopped": (database.stop, database.start), "frozen": (database.freeze, database.thaw)}[how]
    wait_until(lambda: project.stored(sent[5]) == "SUCCESS", 20)
    away()
    try:
        waits(worker)
        stays(lambda: worker.check() is None, 5)
    finally:
        back()
    worker.wait_ready(20)
    assert project.ended(*sent) == ["SUCCESS"] * 50
    assert {project.record(task_id)["retries"] for task_id in sent} == {"0"}
    worker.process.terminate()
    assert worker.process.wait(30) == 0


@pytest.mark.slow
def test_a_read_only_database_is_waited_for_until_it_takes_writes(
    ledger: Callable[..., Ledger], database: Postgres
) -> None:
    project = ledger()
    worker = project.role("worker")
    project.psql("ALTER SYSTEM SET default_transaction_read_only = on")
    project.psql("SELECT pg_reload_conf()")
    try:
        (written,) = project.run("[write.delay(1).id]")
        waits(worker, "takes no tasks: the database 'default' is read-only")
        stays(lambda: project.stored(written) == "PENDING", 3)
    finally:
        project.psql("ALTER SYSTEM RESET default_transaction_read_only")
        project.psql("SELECT pg_reload_conf()")
    worker.wait_ready(20)
    assert project.ended(written) == ["SUCCESS"]


@pytest.mark.slow
def test_what_a_database_refuses_while_it_is_up_fails_as_ever(ledger: Callable[..., Ledger], tmp_path: Path) -> None:
    project = ledger()
    worker = project.role("worker")
    path = str(tmp_path / "lock")
    sent = project.run(
        f"[breaks_a_constraint.delay().id, has_no_table.delay().id, locks.delay({path!r}, 1, 2).id,"
        f" locks.delay({path!r}, 2, 1).id]"
    )
    states = project.ended(*sent)
    assert states[:2] == ["FAILURE", "FAILURE"]
    assert sorted(states[2:]) == ["FAILURE", "SUCCESS"]  # PostgreSQL ends one of the two in a deadlock
    assert "takes no tasks" not in worker.log.read_text()

    # A task that ends its own connection meets an outage that nobody else sees: it is requeued some times only.
    (guilty,) = project.run("[ends_its_own_connection.delay().id]")
    assert project.ended(guilty, within=60) == ["FAILURE"]
    assert worker.log.read_text().count("requeued ledger.tasks.ends_its_own_connection") == 10
    worker.wait_ready(20)


@pytest.mark.slow
def test_a_restart_of_the_database_under_kept_connections_fails_none(
    ledger: Callable[..., Ledger], database: Postgres
) -> None:
    project = ledger(LEDGER_MAX_AGE="600")
    worker = project.role("worker")
    sent = project.run("[read.delay(number, 0.1).id for number in range(100)]")
    for number in (10, 40):
        wait_until(lambda number=number: project.stored(sent[number]) == "SUCCESS", 20)
        database.stop()
        database.start()
    assert project.ended(*sent) == ["SUCCESS"] * 100
    assert "requeued ledger.tasks.read" in worker.log.read_text()


@pytest.mark.slow
def test_a_connection_that_tasks_share_is_made_anew_after_an_outage(
    ledger: Callable[..., Ledger], database: Postgres
) -> None:
    project = ledger(LEDGER_REUSE="100")
    worker = project.role("worker", WORKER_CONCURRENCY="1")
    assert project.ended(*project.run("[read.delay(1).id]")) == ["SUCCESS"]
    database.stop()
    database.start()
    assert project.ended(*project.run("[read.delay(2).id]")) == ["SUCCESS"]
    assert worker.log.read_text().count("requeued ledger.tasks.read") == 1


@pytest.mark.slow
def test_a_result_in_that_database_waits_there_and_its_task_runs_once(
    ledger: Callable[..., Ledger], database: Postgres, redis_server: Redis
) -> None:
    project = ledger(LEDGER_RESULTS="django-db")
    project.migrate()
    worker = project.role("worker", WORKER_CONCURRENCY="2")
    running, *others = project.run("[needs_none.delay(4).id, *[read.delay(number, 0.1).id for number in range(20)]]")
    wait_until(lambda: "needs_none runs" in worker.log.read_text(), 20)
    database.stop()
    waits(worker)
    time.sleep(6)  # the one that runs ends in the outage
    assert "the end of a task waits to be stored" in worker.log.read_text()
    database.start()
    worker.wait_ready(20)
    wait_until(lambda: redis_server.client.llen("celery") == redis_server.client.hlen("unacked") == 0, 30)
    states = project.run(f"[AsyncResult(each).state for each in {[running, *others]!r}]")
    assert states == ["SUCCESS"] * 21
    assert worker.log.read_text().count("needs_none runs") == 1
