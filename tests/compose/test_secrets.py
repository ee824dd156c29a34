"""Secrets that change while people work: the new one is new, and the old one is worth nothing."""

import pytest
import requests

from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.traffic import load


def value(stack: Compose, name: str) -> str:
    service, _, file = name.partition("/")
    return stack.exec(service, "cat", f"/run/secrets/{file}")


def login(stack: Compose, name: str, password: str) -> str:
    """What the server that this secret is for says to somebody who comes with `password`."""
    service, _, file = name.partition("/")
    if file == "flower_password":
        return str(requests.get(stack.flower_url, auth=("flower", password), timeout=10).status_code)
    if service == "db":
        user = {"database_password": "app", "postgres_password": "postgres"}[file]
        # By its name: over loopback the server asks for no password.
        command = ["psql", "-h", "db", "-U", user, "-d", "app", "-tc", "SELECT 'welcome'"]
        done = stack.run("docker", "exec", "-e", f"PGPASSWORD={password}", stack.containers("db")[0], *command)
    else:
        user = "admin" if service == "redis" else service
        command = ["redis-cli", "--user", user, "ping"]
        done = stack.run("docker", "exec", "-e", f"REDISCLI_AUTH={password}", stack.containers("redis")[0], *command)
    return done.stdout + done.stderr


def rotated(stack: Compose, name: str) -> tuple[str, str]:
    """The old and the new value."""
    old = value(stack, name)
    done = stack.run("make", "rotate-secret", f"NAME={name}")
    assert done.returncode == 0, done.stdout + done.stderr
    return old, value(stack, name)


def test_a_rotated_password_is_new_and_nobody_notices(stack: Compose, api: Client) -> None:
    with load(api) as seen:
        old, new = rotated(stack, "web/redis_password")

    assert not seen["failed"], seen["failed"][:5]
    assert "PONG" in login(stack, "web/redis_password", new)
    assert "WRONGPASS" in login(stack, "web/redis_password", old)


@pytest.mark.parametrize(
    ("name", "welcome", "refusal"),
    [
        pytest.param("redis/admin_password", "PONG", "WRONGPASS", marks=pytest.mark.slow),
        pytest.param("worker/redis_password", "PONG", "WRONGPASS", marks=pytest.mark.slow),
        pytest.param("beat/redis_password", "PONG", "WRONGPASS", marks=pytest.mark.slow),
        pytest.param("flower/redis_password", "PONG", "WRONGPASS", marks=pytest.mark.slow),
        ("flower/flower_password", "200", "401"),
        ("db/database_password", "welcome", "password authentication failed"),
        pytest.param("db/postgres_password", "welcome", "password authentication failed", marks=pytest.mark.slow),
    ],
)
def test_every_other_password_can_be_rotated_too(stack: Compose, name: str, welcome: str, refusal: str) -> None:
    old, new = rotated(stack, name)

    assert old != new
    assert welcome in login(stack, name, new)
    assert refusal in login(stack, name, old)


def test_after_all_that_the_secret_key_is_new_and_everything_works(stack: Compose, api: Client) -> None:
    old, new = rotated(stack, "web/secret_key")

    assert old != new
    assert value(stack, "worker/secret_key") == new
    for role in ("redis", "db", "web", "worker", "beat", "flower"):
        stack.wait_healthy(role)
    assert api.run("add", 2, 2)["result"] == 4
    csv = {"file": ("a.csv", "a,b\n1,2\n")}
    assert requests.post(f"{stack.base_url}/api/datasets", files=csv, timeout=10).status_code == 201
