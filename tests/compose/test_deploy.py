"""A new version, a migration, a broken version and the way back, while people work."""

import pytest
import requests

from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.traffic import Runs, Ticks, load, outcome

ROLES = ("web", "worker", "beat", "flower")


def images(stack: Compose) -> set[str]:
    return {stack.inspect(container)["Image"] for role in ROLES for container in stack.containers(role)}


def change(stack: Compose, text: str) -> None:
    """A new version of the source."""
    file = stack.root / "app" / "demo" / "tasks.py"
    file.write_text(file.read_text() + f"\n# {text}\n")


MIGRATION = """from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("demo", "0002_reports")]
    operations = [migrations.AddField("dataset", "note", models.TextField(null=True))]
"""


def test_a_deploy_under_load_fails_no_request_and_loses_no_task(stack: Compose, api: Client) -> None:
    """Of a new version with a migration, which the old version has to live with for a while."""
    before, sleeps = images(stack), Runs(api, "sleep")
    (stack.root / "app/demo/migrations/0003_note.py").write_text(MIGRATION)

    with Ticks(api) as ticks, load(api) as seen:
        done = stack.run("make", "deploy", "TARGET=compose")
    assert done.returncode == 0, done.stdout + done.stderr

    assert not seen["failed"], seen["failed"][:5]
    assert seen["calls"] > 100
    assert outcome(api, seen, within=60) == {"SUCCESS": len(seen["tasks"])}
    assert sleeps.since() == seen["sleeps"] > 0
    # Beat's hand-over: two seconds of its own and five of the rhythm, with some for a machine under load.
    ticks.check(longest=15)
    after = images(stack)
    assert len(after) == 1
    assert not after & before
    assert "[X] 0003_note" in stack.exec("web", "python", "app/manage.py", "showmigrations", "demo")
    csv = {"file": ("a.csv", "a,b\n1,2\n")}
    dataset = requests.post(f"{stack.base_url}/api/datasets", files=csv, timeout=10).json()
    assert api.run("summarize", dataset["id"])["result"]["rows"] == 1


@pytest.mark.parametrize(
    ("role", "file"),
    [
        pytest.param("worker", "app/stack/worker/consumer.py", id="worker"),
        pytest.param("web", "app/gunicorn.conf.py", id="web", marks=pytest.mark.slow),
    ],
)
def test_a_version_that_does_not_start_leaves_the_old_one_at_work(
    stack: Compose, api: Client, role: str, file: str
) -> None:
    """Each is broken where no other role looks, so that the migration and the roles before it come through."""
    tag = f"django-celery-stack:{stack.project}"
    before, previous = images(stack), stack.run("docker", "image", "inspect", f"{tag}-previous").stdout
    old = stack.containers(role)
    good = (stack.root / file).read_text()
    (stack.root / file).write_text(good + "\nraise RuntimeError('a broken version')\n")
    try:
        with load(api) as seen:
            done = stack.run("make", "deploy", "TARGET=compose")
    finally:
        (stack.root / file).write_text(good)

    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "a broken version" in said
    assert not seen["failed"], seen["failed"][:5]
    assert outcome(api, seen, within=60) == {"SUCCESS": len(seen["tasks"])}
    assert stack.containers(role, stopped=True) == old, "something of the new version is left"
    assert before == {stack.inspect(tag)["Id"]}, "a later `docker compose up` would bring the broken version"
    assert stack.run("docker", "image", "inspect", f"{tag}-previous").stdout == previous, "the way back is lost"
    if role == "web":
        assert "worker: the new version\n  web: the old version" in said
        done = stack.run("make", "deploy", "TARGET=compose", "ROLLBACK=1")
        assert done.returncode == 0, done.stdout + done.stderr
        assert images(stack) == before


@pytest.mark.slow
def test_a_rollback_brings_the_image_before_back_and_only_once(stack: Compose, api: Client) -> None:
    before = images(stack)
    change(stack, "a version to regret")
    assert stack.run("make", "deploy", "TARGET=compose").returncode == 0
    assert not images(stack) & before

    done = stack.run("make", "deploy", "TARGET=compose", "ROLLBACK=1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert images(stack) == before
    assert api.run("add", 2, 2)["result"] == 4
    again = stack.run("make", "deploy", "TARGET=compose", "ROLLBACK=1")
    assert again.returncode != 0
    assert "it is what runs" in again.stderr
