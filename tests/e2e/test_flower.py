"""Flower: it sees the workers and the tasks, and shows nothing without its password."""

from typing import Any

import psutil
import requests

from tests.e2e.client import Client
from tests.e2e.supervisor import Supervisor
from tests.e2e.targets import Target
from tests.waiting import wait_until


def flower(stack: Target, path: str, password: str | None = None) -> requests.Response:
    auth = None if password is None else ("flower", password)
    return requests.get(stack.flower_url + path, auth=auth, timeout=20)


def test_without_the_password_nothing_is_shown(stack: Target) -> None:
    for path in ("/", "/workers", "/api/workers", "/api/tasks"):
        assert flower(stack, path).status_code == 401, path
        assert flower(stack, path, "wrong").status_code == 401, path
        assert flower(stack, path, "").status_code == 401, path


def test_with_the_password_the_worker_and_the_task_are_seen(stack: Target, api: Client) -> None:
    assert flower(stack, "/", stack.flower_password).status_code == 200

    def seen() -> dict[str, Any]:
        # Flower asks a worker for its events some seconds after that worker's start: an earlier task is not seen.
        task_id = api.run("mul", 21, 2)["id"]
        answer = flower(stack, f"/api/task/info/{task_id}", stack.flower_password)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    info = wait_until(seen, 15, every=1)
    workers = flower(stack, "/api/workers?refresh=true", stack.flower_password).json()

    assert info["name"] == "mul"
    assert info["worker"] in workers
    assert "mul" in workers[info["worker"]]["registered"]


def test_a_task_cannot_be_sent_through_flower_without_the_password(stack: Target) -> None:
    answer = requests.post(f"{stack.flower_url}/api/task/async-apply/add", json={"args": [1, 2]}, timeout=20)

    assert answer.status_code == 401


def test_no_secret_is_on_a_command_line(vm: Supervisor) -> None:
    names = ("flower/flower_password", "redis/admin_password", "web/redis_password", "worker/redis_password")
    secrets = [vm.secret(name) for name in (*names, "web/secret_key")]

    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]

    assert any("flower" in line and str(vm.root) in line for line in lines), "this test would see no command line"
    assert not [line for line in lines if any(secret in line for secret in secrets)]


def test_secrets_are_for_their_owner_only(vm: Supervisor) -> None:
    files = [path for path in (vm.root / "run" / "secrets").rglob("*") if path.is_file()]

    assert len(files) >= 9
    assert not [str(path) for path in files if path.stat().st_mode & 0o077]
    assert (vm.root / "run").stat().st_mode & 0o077 == 0
