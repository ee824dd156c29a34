"""What a project brings along: variables, secrets, a cache and an extension of PostgreSQL, on a stack of its own."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.compose import Compose

pytestmark = pytest.mark.slow

FIRST, SECOND = "sk_live_the_first", "sk_live_the_second"
MAPS, MAIL = "the key that a variable names", "p/of+mail"
DJANGO = ("web", "worker", "beat")
EXTENSIONS = "k8s/components/postgres/extensions.sql"


@pytest.fixture(scope="module")
def shop() -> Iterator[Compose]:
    target = Compose(
        COMPOSE_PROFILES="cache",
        CACHE_URL="redis://cache:6379/0",
        SHOP_COLOUR="red",
        MAPS_KEY_FILE="/run/secrets/maps_key",
        EMAIL_URL="smtp+tls://shop@mail.example.com:587",
    )
    try:
        for name, text in {"STRIPE_KEY": FIRST, "maps_key": MAPS, "EMAIL_PASSWORD": MAIL}.items():
            (target.root / "docker" / "secrets" / name).write_text(text + "\n")
        yield target
    finally:
        target.remove()


def environment(stack: Compose, role: str) -> dict[str, str]:
    """What the process of a role was started with."""
    text = Path(f"/proc/{stack.pid(stack.containers(role)[0])}/environ").read_text()
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def seen_by(stack: Compose, role: str, code: str) -> str:
    """The output of code that runs in the project, in a role's container."""
    return stack.exec(role, "python", "app/manage.py", "shell", "--no-imports", "-c", code).strip()


def test_an_error_in_the_extensions_fails_the_first_start(shop: Compose) -> None:
    (shop.root / EXTENSIONS).write_text("CREATE EXTENSION no_such_extension;\n")
    done = shop.run("docker", "compose", "up", "-d", "--wait", "db")

    assert done.returncode != 0
    log = shop.run("docker", "compose", "logs", "db").stdout
    assert 'extensions.sql:1: ERROR:  extension "no_such_extension" is not available' in log

    (shop.root / EXTENSIONS).write_text('CREATE EXTENSION IF NOT EXISTS "pg_trgm";\n')
    shop.up()
    found = shop.exec("db", "psql", "-U", "postgres", "-d", "app", "-Atc", "SELECT extname FROM pg_extension")
    assert "pg_trgm" in found.split()
    owner = shop.exec("db", "psql", "-U", "postgres", "-Atc", "SELECT rolsuper FROM pg_roles WHERE rolname = 'app'")
    assert owner.strip() == "f"


def test_variables_and_secrets_reach_each_role_that_runs_the_code(shop: Compose) -> None:
    for role in DJANGO:
        seen = environment(shop, role)
        assert (seen["SHOP_COLOUR"], seen["STRIPE_KEY"], seen["MAPS_KEY"]) == ("red", FIRST, MAPS), role
        assert seen["STRIPE_KEY_FILE"] == "/run/secrets/STRIPE_KEY", role
    code = "import os; print(os.environ['STRIPE_KEY'], os.environ['SHOP_COLOUR'])"
    run = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "python", "migrate", "app/manage.py", "shell")
    assert shop.compose(*run, "--no-imports", "-c", code).strip() == f"{FIRST} red"

    for role in ("flower", "proxy", "redis", "cache", "db"):
        seen = environment(shop, role)
        assert {"STRIPE_KEY", "STRIPE_KEY_FILE", "MAPS_KEY", "EMAIL_PASSWORD"} & seen.keys() == set(), role
        assert ("SHOP_COLOUR" in seen) is (role == "flower"), role
        files = set(shop.exec(role, "ls", "/run/secrets").split()) if role != "proxy" else set()
        assert files & {"STRIPE_KEY", "maps_key", "EMAIL_PASSWORD"} == set(), role
    # Whoever may look at containers, and not into them, does not see them.
    looked_at = [str(shop.inspect(container)) for container in shop.containers(stopped=True)]
    for text in (FIRST, MAPS, MAIL):
        assert all(text not in seen for seen in looked_at)
        assert all(text not in shop.logs(role) for role in DJANGO)


def test_the_password_of_mail_is_a_file_too(shop: Compose) -> None:
    code = "from django.conf import settings as s; print(s.EMAIL_HOST, s.EMAIL_HOST_USER, s.EMAIL_HOST_PASSWORD)"
    for role in ("web", "worker"):
        assert seen_by(shop, role, code) == f"mail.example.com shop {MAIL}", role


def test_what_one_role_caches_another_one_finds(shop: Compose) -> None:
    seen_by(shop, "web", "from django.core.cache import cache; cache.set('from', 'the web', None)")
    for role in ("worker", "beat"):
        assert seen_by(shop, role, "from django.core.cache import cache; print(cache.get('from'))") == "the web"
    script = "REDISCLI_AUTH=$(cat /run/secrets/cache_password) redis-cli info memory"
    assert "maxmemory_policy:allkeys-lru" in shop.exec("cache", "sh", "-c", script)


def test_a_rotated_password_of_the_cache_empties_nothing(shop: Compose) -> None:
    old = shop.exec("cache", "cat", "/run/secrets/cache_password")
    done = shop.run("make", "rotate-secret", "NAME=web/cache_password")
    assert done.returncode == 0, done.stdout + done.stderr

    new = shop.exec("cache", "cat", "/run/secrets/cache_password")
    assert new != old
    for role in DJANGO:
        assert shop.exec(role, "cat", "/run/secrets/cache_password") == new
        assert seen_by(shop, role, "from django.core.cache import cache; print(cache.get('from'))") == "the web"
    users = shop.exec("cache", "cat", "/run/secrets/users.acl")
    assert hashlib.sha256(new.encode()).hexdigest() in users
    assert hashlib.sha256(old.encode()).hexdigest() not in users
    done = shop.run("docker", "exec", "-e", f"REDISCLI_AUTH={old}", shop.containers("cache")[0], "redis-cli", "ping")
    assert "WRONGPASS" in done.stdout + done.stderr


def test_a_changed_secret_of_the_project_reaches_all_its_readers(shop: Compose) -> None:
    done = shop.run("make", "rotate-secret", "NAME=web/STRIPE_KEY")
    assert "web/STRIPE_KEY is your own: change docker/secrets/STRIPE_KEY first" in done.stderr

    (shop.root / "docker" / "secrets" / "STRIPE_KEY").write_text(SECOND + "\n")
    done = shop.run("make", "rotate-secret", "NAME=web/STRIPE_KEY")
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECOND not in done.stdout + done.stderr
    assert {role: environment(shop, role)["STRIPE_KEY"] for role in DJANGO} == dict.fromkeys(DJANGO, SECOND)


def test_an_empty_secret_ends_a_start_with_the_variables_name(shop: Compose) -> None:
    run = ("docker", "compose", "run", "--rm", "-T", "--no-deps", "-e", "OTHER_FILE=/run/secrets/other", "worker")
    done = shop.run(*run)
    assert done.returncode != 0
    assert "service: OTHER_FILE='/run/secrets/other' cannot be read: No such file" in done.stderr
