"""What a project brings along: variables, secrets, a cache, an extension of PostgreSQL; in a namespace of its own."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.k8s import Kubernetes
from tests.e2e.supervisor import CHECKOUT
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

KEY, MAPS, MAIL = "sk_live_of_this_test", "the key that a variable names", "p/of+mail"
DJANGO = ("web", "worker", "beat")
NO_EXTENSION, EXTENSION = ("CREATE EXTENSION no_such_extension;\n", 'CREATE EXTENSION IF NOT EXISTS "pg_trgm";\n')


@pytest.fixture(scope="module")
def shop() -> Iterator[Kubernetes]:
    target = Kubernetes(
        ("queue", "cache", "project-secrets"),
        SHOP_COLOUR="red",
        MAPS_KEY_FILE="/run/project/secrets/maps_key",
        EMAIL_URL="smtp+tls://shop@mail.example.com:587",
    )
    try:
        target.name_the_address()
        secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "project-secrets"}}
        keys = {"STRIPE_KEY": KEY, "maps_key": MAPS, "EMAIL_PASSWORD": MAIL}
        target.kubectl("create", "-f", "-", text=json.dumps(secret | {"stringData": keys}))
        yield target
    finally:
        target.remove()


def seen_by(stack: Kubernetes, role: str, code: str) -> str:
    """The output of code that runs in the project, in a role's container."""
    command = ("python", "app/manage.py", "shell", "--no-imports", "-c", code)
    return stack.kubectl("exec", stack.names(role)[0], "-c", "app", "--", *command).strip()


def in_database(stack: Kubernetes, statement: str) -> str:
    return stack.kubectl(
        "exec", "db-0", "-c", "app", "--", "psql", "-U", "postgres", "-d", "app", "-Atc", statement
    ).strip()


def test_an_error_in_the_extensions_fails_the_first_start(shop: Kubernetes) -> None:
    file = shop.root / "k8s" / "components" / "postgres" / "extensions.sql"
    file.write_text(NO_EXTENSION)
    shop.kubectl("apply", "-k", str(shop.overlay))

    def failed_twice() -> bool:
        log = shop.run("logs", "db-0", "-c", "app", "--previous").stdout
        assert 'extension "no_such_extension" is not available' in log, log[-2000:]
        return (
            sum(status["restartCount"] for pod in shop.pods("db") for status in pod["status"]["containerStatuses"]) > 1
        )

    wait_until(failed_twice, 180, every=1)

    file.write_text(EXTENSION)
    shop.kubectl("apply", "-k", str(shop.overlay))
    # A pod of a StatefulSet that never was ready is not replaced by itself.
    shop.kubectl("delete", "pod", "db-0")
    for role in ("db", "redis", "cache", *DJANGO):
        shop.wait_ready(role)
    assert "pg_trgm" in in_database(shop, "SELECT extname FROM pg_extension").split()


def test_variables_and_secrets_reach_each_role_that_runs_the_code(shop: Kubernetes) -> None:
    for role in DJANGO:
        code = "import os; print(open('/proc/1/environ').read().split(chr(0)))"
        seen = seen_by(shop, role, code)
        for entry in ("SHOP_COLOUR=red", f"STRIPE_KEY={KEY}", f"MAPS_KEY={MAPS}"):
            assert repr(entry) in seen, role
    script = "tr '\\0' '\\n' < /proc/1/environ"
    seen = shop.kubectl("exec", shop.names("flower")[0], "-c", "app", "--", "sh", "-c", script)
    pods = shop.kubectl("get", "pods", "-o", "json")
    for text in (KEY, MAPS, MAIL):
        assert text not in seen
        assert text not in pods


def test_the_password_of_mail_is_a_key_too(shop: Kubernetes) -> None:
    code = "from django.conf import settings as s; print(s.EMAIL_HOST, s.EMAIL_HOST_USER, s.EMAIL_HOST_PASSWORD)"
    for role in ("web", "worker"):
        assert seen_by(shop, role, code) == f"mail.example.com shop {MAIL}", role


def test_a_rotated_password_of_the_cache_empties_nothing(shop: Kubernetes) -> None:
    seen_by(shop, "web", "from django.core.cache import cache; cache.set('from', 'the web', None)")
    old = shop.secret("cache_password")
    done = subprocess.run(
        ["make", "rotate-secret", "TARGET=k8s", "NAME=cache_password"],
        cwd=CHECKOUT, env=shop.env | {"OVERLAY": str(shop.overlay)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr

    new = shop.secret("cache_password")
    assert new != old
    assert new not in done.stdout + done.stderr
    for role in DJANGO:
        assert seen_by(shop, role, "from django.core.cache import cache; print(cache.get('from'))") == "the web"
    for password, answer in ((old, "WRONGPASS"), (new, "maxmemory_policy:allkeys-lru")):
        command = ("redis-cli", "--pass", password, "info", "memory")
        said = shop.run("exec", "cache-0", "-c", "app", "--", *command)
        assert answer in said.stdout + said.stderr
