"""The stack for development: the source is mounted and a changed line is seen without a build."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.machine import patience
from tests.waiting import wait_until


@pytest.fixture
def dev() -> Iterator[Compose]:
    target = Compose()
    target.env["COMPOSE_FILE"] = "compose.yaml:compose.dev.yaml"
    try:
        target.up()
        yield target
    finally:
        target.remove()


@pytest.mark.slow
def test_a_changed_line_is_seen_by_every_role_though_a_task_sleeps(dev: Compose) -> None:
    api = Client(dev.base_url)
    assert api.run("ping")["result"] == "pong"
    api.reaches(api.submit("sleep", 300), "STARTED")
    # As Emacs leaves one beside each file that it edits: a name without a file.
    (dev.root / "app" / "stack" / ".#tasks.py").symlink_to("somebody@somewhere")
    file = dev.root / "app" / "stack" / "tasks.py"
    changed = file.read_text().replace('return "pong"', 'return "pong, changed"')
    assert changed != file.read_text()

    file.write_text(changed)

    def seen() -> bool:
        answer = api.post("ping", {})
        assert answer.status_code == 202
        return bool(api.done(answer.json()["id"], within=5)["result"] == "pong, changed")

    wait_until(seen, 40, every=0.5)
    views = dev.root / "app" / "stack" / "views.py"
    views.write_text(views.read_text().replace('"status": "ok"', '"status": "changed"'))
    wait_until(lambda: api.get("/livez").json() == {"status": "changed"}, 40, every=0.5)
    wait_until(lambda: dev.logs("beat").count("took the lock") >= 2, 20)
    assert dev.health(dev.containers("beat")[0]) == "healthy"

    # Stopped while the worker is still being replaced, because a task keeps it.
    api.reaches(api.submit("sleep", 300), "STARTED", within=20)
    worker = dev.containers("worker")[0]
    restarts = dev.run("docker", "logs", worker).stdout.count("reload: a file changed")
    file.write_text(file.read_text() + "\n")
    wait_until(lambda: dev.run("docker", "logs", worker).stdout.count("reload: a file changed") > restarts, 10)
    begun = time.monotonic()
    dev.run("docker", "stop", "--time", "60", worker)
    assert time.monotonic() - begun < patience(20)
    assert dev.inspect(worker)["State"]["ExitCode"] == 0
