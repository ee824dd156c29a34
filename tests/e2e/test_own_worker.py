"""A worker of its own for a queue, as docs/queues.md has it, and a queue that nobody takes from."""

from typing import Any

import pytest

from tests.bundle.test_queues import block
from tests.e2e.client import Client
from tests.e2e.supervisor import Supervisor
from tests.waiting import wait_until


def send(vm: Supervisor, queue: str) -> str:
    """Have the project's own code send a task to a queue; its id."""
    code = f"from demo.tasks import add; print(add.apply_async((2, 3), queue={queue!r}).id)"
    return vm.manage("shell", "-c", code).split()[-1]


def worker(api: Client, name: str) -> dict[str, Any]:
    found = [each for each in api.get("/api/workers").json() if each["name"].startswith(f"{name}@")]
    assert found, f"no {name}"
    return dict(found[0])


@pytest.mark.slow
def test_a_queue_has_a_worker_of_its_own_and_a_misspelt_one_is_named(vm: Supervisor, api: Client) -> None:
    own = vm.root / "workers.ini"
    own.write_text(block("On a VM, under supervisord"))
    try:
        vm.scale("worker", 2)
        assert sorted(name for name in vm.pids() if "worker" in name) == ["worker", "worker-2", "worker-emails"]
        # What a worker notes of itself is up to a second old.
        wait_until(lambda: worker(api, "worker-emails")["ready"], 10)
        seen = worker(api, "worker-emails")
        assert (seen["queues"], seen["concurrency"], seen["pool"]) == (["emails"], 4, "threads")
        assert vm.check("worker-emails", ready=True) is None

        sent = [send(vm, "emails"), send(vm, "emials")]
        assert api.done(sent[0])["result"] == 5
        said = vm.make("up")
        assert "warning: queue 'emials': 1 task waits here, no running worker takes from this queue" in said
        assert "queue 'emails'" not in said

        pid = vm.pids()["worker-emails"]
        vm.scale("worker", 1)
        assert vm.pids()["worker-emails"] == pid, "it was restarted for a change that does not concern it"
    finally:
        own.unlink()
        vm.scale("worker", 1)
        with vm.redis() as admin:
            admin.delete("emials")
    assert [name for name in vm.pids() if "worker" in name] == ["worker"]
    wait_until(lambda: len(api.get("/api/workers").json()) == 1, 10)
