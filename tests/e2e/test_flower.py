"""Flower: it sees the workers, the tasks and the queues, and shows nothing without its password."""

import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import requests

from tests.e2e.client import Client
from tests.e2e.conftest import Stopped
from tests.e2e.supervisor import Supervisor
from tests.e2e.targets import Operated, Target
from tests.waiting import stays, wait_until


def flower(stack: Target, path: str, password: str | None = None, method: str = "GET", **options: Any) -> Any:
    auth = None if password is None else ("flower", password)
    return requests.request(method, stack.flower_url + path, auth=auth, timeout=20, **options)


def asked(stack: Target, path: str) -> dict[str, Any]:
    """What Flower's API answers to somebody who knows the password."""
    answer = flower(stack, path, stack.flower_password)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def sees_a_new_task(stack: Target, api: Client) -> dict[str, Any]:
    """What Flower knows of a task that has just run; an OSError or AssertionError while it knows nothing."""
    task_id = api.run("mul", 21, 2)["id"]

    def known() -> dict[str, Any]:
        info = asked(stack, f"/api/task/info/{task_id}")
        assert info["state"] == "SUCCESS", info  # a worker tells of it after the result is stored
        return info

    return wait_until(known, 1)


PATHS = ("/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks", "/api/queues/length", "/metrics")


@pytest.mark.runtime
@pytest.mark.parametrize("path", PATHS)
def test_without_the_password_nothing_is_shown(stack: Target, path: str) -> None:
    assert flower(stack, path).status_code == 401
    # 429 after ten of them in a minute.
    assert flower(stack, path, "wrong").status_code in (401, 429)
    assert flower(stack, path, "").status_code in (401, 429)
    assert flower(stack, path, stack.flower_password).status_code == 200


@pytest.mark.runtime
def test_the_health_check_is_open_and_says_nothing(stack: Target) -> None:
    assert flower(stack, "/healthcheck").text == "OK"


@pytest.mark.runtime
def test_the_task_and_the_worker_that_ran_it_are_seen(stack: Target, api: Client) -> None:
    # Flower asks a worker for its events some seconds after that worker's start: an earlier task is not seen.
    info = wait_until(lambda: sees_a_new_task(stack, api), 15)
    workers = asked(stack, "/api/workers?refresh=true")

    assert (info["name"], info["state"], info["result"]) == ("mul", "SUCCESS", "42")
    assert info["worker"] in workers
    assert "mul" in workers[info["worker"]]["registered"]
    metrics = flower(stack, "/metrics", stack.flower_password).text
    assert f'flower_worker_online{{worker="{info["worker"]}"}} 1.0' in metrics


@pytest.fixture
def two_workers(stack: Target) -> Iterator[None]:
    stack.scale("worker", 2)
    yield
    stack.scale("worker", 1)


@pytest.mark.runtime
@pytest.mark.usefixtures("two_workers")
def test_both_workers_are_seen(stack: Target) -> None:
    def both() -> list[str]:
        online = [worker["hostname"] for worker in asked(stack, "/workers?json=1")["data"] if worker["status"]]
        assert len(online) == 2, online
        assert set(online) <= set(asked(stack, "/api/workers?refresh=true"))
        return online

    wait_until(both, 20)


def test_a_queues_length_is_seen_with_every_priority_and_no_worker(
    stack: Target, api: Client, stopped: Stopped
) -> None:
    def waiting() -> int:
        lengths = {queue["name"]: queue["messages"] for queue in asked(stack, "/api/queues/length")["active_queues"]}
        return int(lengths["celery"])

    with stopped("worker"):
        before = waiting()
        ids = [api.submit("add", 1, 2, priority=priority) for priority in (0, 5, 9)]
        assert waiting() >= before + 3  # beat sends some too
    for task_id in ids:
        api.done(task_id, within=30)
    wait_until(lambda: waiting() == 0, 10)


@pytest.mark.runtime
@pytest.mark.slow
@pytest.mark.chaos
def test_flower_sees_a_new_task_ten_seconds_after_redis_is_back(stack: Target, api: Client) -> None:
    wait_until(lambda: sees_a_new_task(stack, api), 15)
    stack.stop("redis")
    try:
        # So long that Flower's own pauses, which double, would end 11 s after it, and so would those of the worker.
        stays(lambda: stack.check("flower") is None, 31)
    finally:
        stack.start("redis")

    wait_until(lambda: sees_a_new_task(stack, api), 10, promised=True)


@pytest.mark.runtime
def test_what_flower_has_seen_outlives_its_restart(stack: Target, api: Client) -> None:
    if not stack.keeps:
        pytest.skip("a pod takes what it saw along: a volume would tie Flower to one node")
    before = wait_until(lambda: sees_a_new_task(stack, api), 15)

    stack.restart("flower")

    assert asked(stack, f"/api/task/info/{before['uuid']}")["result"] == "42"


CHANGES = ("/api/task/async-apply/add", "/api/task/revoke/no-such-id", "/api/worker/shutdown/worker")


@pytest.mark.runtime
@pytest.mark.parametrize("path", CHANGES)
def test_flower_changes_nothing_unless_told_so(stack: Target, path: str) -> None:
    assert flower(stack, path, method="POST", json={"args": [1, 2]}).status_code == 401
    refused = flower(stack, path, stack.flower_password, method="POST", json={"args": [1, 2]})

    assert refused.status_code == 403
    assert "Read only" in refused.text


def test_flower_revokes_a_task_when_told_so(operated: Operated, api: Client) -> None:
    with operated.restarted_with("flower", "FLOWER_READ_ONLY=false"):
        task_id = api.submit("add", 1, 2, countdown=15)
        wait_until(lambda: [worker for worker in api.get("/api/workers").json() if worker["delayed"]], 10)

        answer = flower(operated, f"/api/task/revoke/{task_id}", operated.flower_password, method="POST")

        assert answer.json() == {"message": f"Revoked '{task_id}'"}
        done = api.done(task_id, within=40)
        assert (done["state"], done["started_at"]) == ("REVOKED", None)


@pytest.mark.parametrize("path", ["/healthcheck", "/metrics"])
def test_flower_is_reached_over_loopback_only(vm: Supervisor, path: str) -> None:
    others = {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    }
    assert flower(vm, path, vm.flower_password).status_code == 200
    for address in others:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://{address}:{vm.flower_port}{path}", timeout=5)
    listening = [item for item in psutil.net_connections("inet") if item.status == psutil.CONN_LISTEN]
    assert {item.laddr.ip for item in listening if item.laddr.port == vm.flower_port} == {"127.0.0.1"}


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
