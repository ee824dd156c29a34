"""Secrets that the operator chose: files in docker/secrets, which win over the random ones."""

from collections.abc import Iterator

import pytest

from tests.e2e.client import Client
from tests.e2e.compose import Compose

FIRST, SECOND, THIRD = (f"the-{number}-token-of-this-test" for number in ("first", "second", "third"))


@pytest.fixture
def owned() -> Iterator[Compose]:
    target = Compose(API_TOKEN_FILE="/run/secrets/api_token")
    try:
        give(target, FIRST)
        target.up()
        yield target
    finally:
        target.remove()


def give(stack: Compose, token: str) -> None:
    file = stack.root / "docker" / "secrets" / "web" / "api_token"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(token + "\n")


def status(stack: Compose, token: str) -> int:
    return Client(stack.base_url, token).get("/api/tasks").status_code


@pytest.mark.slow
def test_a_token_of_the_operators_own_is_used_and_replaced_with_its_file(owned: Compose) -> None:
    assert [status(owned, token) for token in ("", SECOND, FIRST)] == [401, 401, 200]
    assert Client(owned.base_url, FIRST).run("add", 2, 3)["result"] == 5
    # The other roles are told of the variable, and have no such file.
    assert all(
        owned.health(container) == "healthy" for role in ("worker", "beat") for container in owned.containers(role)
    )

    done = owned.run("make", "rotate-secret", "NAME=web/api_token")
    assert done.returncode != 0
    assert "web/api_token is your own: change docker/secrets/web/api_token first" in done.stderr

    give(owned, SECOND)
    done = owned.run("make", "rotate-secret", "NAME=web/api_token")

    assert done.returncode == 0, done.stdout + done.stderr
    assert [status(owned, token) for token in (FIRST, SECOND)] == [401, 200]
    assert SECOND not in done.stdout + done.stderr

    # A deploy or an `up` in between gives the roles' folders the new file already; the rotation goes on from there.
    give(owned, THIRD)
    owned.compose("run", "--rm", "-T", "--no-deps", "secrets")
    assert owned.run("make", "rotate-secret", "NAME=web/api_token").returncode == 0
    assert [status(owned, token) for token in (SECOND, THIRD)] == [401, 200]
    assert owned.run("make", "rotate-secret", "NAME=web/api_token").returncode != 0
