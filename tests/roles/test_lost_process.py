"""A pool process that dies, and a message that is none: what is tried again, and that the worker goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.roles.conftest import Redis, Role
from tests.roles.test_any_app import Stranger
from tests.waiting import wait_until


@pytest.mark.slow
def test_a_task_runs_again_unless_it_was_acknowledged_before_its_start(
    redis_server: Redis, run_role: Callable[..., Role], tmp_path: Path
) -> None:
    project = Stranger(redis_server, run_role, tmp_path)
    worker = project.worker()
    project.redis.lpush("celery", b"\xff", "no message")  # somebody else uses a list of this name
    early, late = tmp_path / "early", tmp_path / "late"
    ids = project.run(
        f"print(json.dumps([dies_early.delay({str(early)!r}).id, dies_without_a_pause.delay({str(late)!r}).id]))"
    )
    for task_id in ids:
        # The failure of both is stored, and the worker goes on.
        wait_until(lambda task_id=task_id: "FAILURE" in (project.redis.get(f"celery-task-meta-{task_id}") or ""), 30)
    assert (early.read_text(), late.read_text()) == (".", "..")
    assert worker.process.poll() is None
    assert worker.log.read_text().count("what is no message") == 2
    wait_until(lambda: project.redis.hlen("unacked") == 0, 10)
