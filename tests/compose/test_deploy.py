"""A new version, a changed secret and a migration while people work."""

import time

import requests

from tests.e2e.client import Client, lines_of
from tests.e2e.compose import Compose
from tests.traffic import Runs, load, outcome


def images(stack: Compose) -> set[str]:
    roles = ("web", "worker", "beat", "flower")
    return {stack.inspect(container)["Image"] for role in roles for container in stack.containers(role)}


def test_a_deploy_under_load_fails_no_request_and_loses_and_repeats_no_task(stack: Compose, api: Client) -> None:
    before, runs = images(stack), Runs(api, "add", "sleep")
    file = stack.root / "app" / "demo" / "tasks.py"
    file.write_text(file.read_text() + "\n# a new version\n")
    begun = time.time()

    with load(api) as seen:
        done = stack.run("make", "deploy", "TARGET=compose")
    assert done.returncode == 0, done.stdout + done.stderr

    assert not seen["failed"], seen["failed"][:5]
    assert seen["calls"] > 300
    assert outcome(api, seen, within=60) == {"SUCCESS": len(seen["tasks"])}
    after = images(stack)
    assert len(after) == 1
    assert not after & before
    ticks = [
        line["timestamp"][:18]
        for container in stack.containers("beat")
        for line in lines_of(stack.run("docker", "logs", "--since", str(int(begun)), container).stdout, "sending add")
    ]
    assert len(ticks) == len(set(ticks))
    # Beat's own `add`, every 30 seconds, is all that may come on top.
    assert 0 <= runs.since() - len(seen["tasks"]) <= (time.time() - begun) // 30 + 1


def test_a_version_that_does_not_start_leaves_the_old_one_at_work(stack: Compose, api: Client) -> None:
    before = {role: stack.containers(role) for role in ("web", "worker", "beat", "flower")}
    file = stack.root / "app" / "config" / "celery.py"
    good = file.read_text()
    file.write_text(good + "\nraise RuntimeError('a broken version')\n")
    try:
        done = stack.run("make", "deploy", "TARGET=compose")
    finally:
        file.write_text(good)

    assert done.returncode != 0
    assert "a broken version" in done.stdout + done.stderr
    assert {role: stack.containers(role) for role in before} == before
    assert api.run("add", 2, 2)["result"] == 4
    tag = f"django-celery-stack:{stack.project}"
    assert stack.inspect(tag)["Id"] in images(stack), "a later `docker compose up` would bring the broken version"


def test_a_rollback_brings_the_image_before_back(stack: Compose, api: Client) -> None:
    before = images(stack)
    file = stack.root / "app" / "demo" / "tasks.py"
    file.write_text(file.read_text() + "\n# a version to regret\n")
    assert stack.run("make", "deploy", "TARGET=compose").returncode == 0
    assert not images(stack) & before

    done = stack.run("make", "deploy", "TARGET=compose", "ROLLBACK=1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert images(stack) == before
    assert api.run("add", 2, 2)["result"] == 4


MIGRATION = """from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("demo", "0002_reports")]
    operations = [migrations.AddField("dataset", "note", models.TextField(null=True))]
"""


def test_a_roll_out_with_a_pending_migration_applies_it_once_and_fails_no_request(stack: Compose, api: Client) -> None:
    (stack.root / "app/demo/migrations/0003_note.py").write_text(MIGRATION)

    with load(api) as seen:
        done = stack.run("make", "deploy", "TARGET=compose")
    assert done.returncode == 0, done.stdout + done.stderr

    assert not seen["failed"], seen["failed"][:5]
    assert "[X] 0003_note" in stack.exec("web", "python", "app/manage.py", "showmigrations", "demo")
    csv = {"file": ("a.csv", "a,b\n1,2\n")}
    dataset = requests.post(f"{stack.base_url}/api/datasets", files=csv, timeout=10).json()
    assert api.run("summarize", dataset["id"])["result"]["rows"] == 1


def test_a_rotated_password_is_new_and_nobody_notices(stack: Compose, api: Client) -> None:
    old = stack.exec("web", "cat", "/run/secrets/redis_password")

    with load(api) as seen:
        done = stack.run("make", "rotate-secret", "NAME=web/redis_password")
    assert done.returncode == 0, done.stdout + done.stderr

    assert not seen["failed"], seen["failed"][:5]
    assert stack.exec("web", "cat", "/run/secrets/redis_password") != old
    say = stack.run("docker", "exec", "-e", f"REDISCLI_AUTH={old}", stack.containers("redis")[0], "redis-cli",
                    "--user", "web", "ping")  # fmt: skip
    assert "WRONGPASS" in say.stdout + say.stderr


def test_every_other_secret_can_be_rotated_too(stack: Compose, api: Client) -> None:
    for name in ("redis/admin_password", "db/database_password", "flower/flower_password", "web/secret_key"):
        done = stack.run("make", "rotate-secret", f"NAME={name}")
        assert done.returncode == 0, done.stdout + done.stderr
    for role in ("redis", "db", "web", "worker", "beat", "flower"):
        stack.wait_healthy(role)
    assert api.run("add", 2, 2)["result"] == 4
    assert requests.get(stack.flower_url, auth=("flower", stack.flower_password), timeout=10).status_code == 200
    csv = {"file": ("a.csv", "a,b\n1,2\n")}
    assert requests.post(f"{stack.base_url}/api/datasets", files=csv, timeout=10).status_code == 201
