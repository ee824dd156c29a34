"""A worker of its own for a queue, as docs/queues.md has it: started, replaced by a deploy, and taken away."""

import pytest

from tests.bundle.test_queues import block
from tests.compose.test_deploy import change
from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.waiting import wait_until


@pytest.mark.slow
def test_a_queue_has_a_worker_of_its_own_that_a_deploy_replaces(stack: Compose, api: Client) -> None:
    override = stack.root / "compose.override.yaml"
    override.write_text(block("Compose"))
    try:
        stack.compose("up", "-d", "--no-deps", "--wait", "worker-emails")

        def seen() -> bool:
            about = [(each["queues"], each["concurrency"], each["pool"]) for each in api.get("/api/workers").json()]
            assert about.count((["emails"], 4, "threads")) == 1, about
            return True

        wait_until(seen, 20)
        code = "from demo.tasks import add; print(add.apply_async((2, 3), queue='emails').id)"
        assert api.done(stack.manage("shell", "-c", code).split()[-1])["result"] == 5
        stack.manage("shell", "-c", code.replace("emails", "emials"))
        done = stack.run("make", "-s", "up", "TARGET=compose")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning: queue 'emials': 1 task waits here, no running worker" in done.stdout
        assert "queue 'emails'" not in done.stdout

        change(stack, "a version for every worker")
        done = stack.run("make", "deploy", "TARGET=compose")
        assert done.returncode == 0, done.stdout + done.stderr
        images = {stack.inspect(c)["Image"] for role in ("web", "worker-emails") for c in stack.containers(role)}
        assert len(images) == 1
        wait_until(seen, 20)
    finally:
        stack.redis_cli("del", "emials")
        stack.compose("rm", "--stop", "--force", "worker-emails")
        override.unlink()
