"""From an empty cluster to nothing, with the commands of k8s/README.md."""

import json
import os
import secrets
import subprocess

import pytest

from tests.bundle.rendering import combinations, objects_of
from tests.e2e.client import Client
from tests.e2e.k8s import CHECKOUT, SHELL, Kubernetes
from tests.traffic import Runs
from tests.waiting import wait_until


@pytest.fixture
def overlay() -> Kubernetes:
    """An overlay that nobody has applied."""
    target = Kubernetes()
    target.name_the_address()
    return target


def make(target: Kubernetes, verb: str) -> str:
    env = {name: os.environ[name] for name in (*SHELL, "KUBECONFIG") if name in os.environ}
    done = subprocess.run(
        ["make", verb, "TARGET=k8s"],
        cwd=CHECKOUT, env=env | {"OVERLAY": str(target.overlay)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + target.story()
    return done.stdout


def volumes(target: Kubernetes) -> list[str]:
    """The volumes that belong to a claim of the target's namespace."""
    items = json.loads(target.kubectl("get", "persistentvolume", "-o", "json"))["items"]
    claimed = [item for item in items if item["spec"].get("claimRef", {}).get("namespace") == target.namespace]
    return [item["metadata"]["name"] for item in claimed]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_up_proves_a_task_and_down_keeps_what_up_finds_again(overlay: Kubernetes) -> None:
    try:
        assert "add(2, 3) = 5" in make(overlay, "up")
        api = Client(overlay.base_url, overlay.api_token)
        overlay.stop("worker")
        queued, token = api.submit("add", 20, 22), overlay.api_token
        kept = volumes(overlay)
        assert len(kept) == 2
        # Both new webs ran the migrations: one applied them, under the lock, and the other found nothing to do.
        said = [overlay.kubectl("logs", name, "-c", "migrate") for name in overlay.names("web")]
        assert sorted("Applying demo.0001" in log for log in said) == [False, True], said

        make(overlay, "down")
        assert overlay.kubectl("get", "pods", "-o", "name") == ""
        assert (overlay.api_token, volumes(overlay)) == (token, kept)

        overlay.name_the_address()  # a new Service has a new one
        assert "add(2, 3) = 5" in make(overlay, "up")
        api = Client(overlay.base_url, token)
        assert api.done(queued, within=20)["result"] == 42

        # And what runs at a `down` is finished, and acknowledged to a Redis that still answers.
        runs, running = Runs(api, "sleep"), api.submit("sleep", 20)
        api.reaches(running, "STARTED")
        make(overlay, "down")
        overlay.name_the_address()
        make(overlay, "up")
        api = runs.api = Client(overlay.base_url, token)
        assert api.done(running, within=20)["state"] == "SUCCESS"
        assert overlay.redis("hlen", "unacked") == "0"
        assert runs.since() == 1
    finally:
        deleted = overlay.run("delete", "-k", str(overlay.overlay), "--ignore-not-found", timeout=180)
    assert deleted.returncode == 0, deleted.stderr
    assert overlay.run("get", "namespace", overlay.namespace).returncode != 0, "delete -k must leave nothing"
    wait_until(lambda: not volumes(overlay), 60)


@pytest.mark.slow
def test_a_secret_that_the_user_makes_first_is_used_and_left_alone(overlay: Kubernetes) -> None:
    odd, folder = "a/b+c@d:e%f#g&h'i", overlay.root / "secrets"
    folder.mkdir()
    keys = next(item for item in objects_of(combinations()["quickstart"]) if item["metadata"]["name"] == "secret-keys")
    for key in keys["data"]:
        # As an editor leaves a file: with a line's end.
        (folder / key).write_text(secrets.token_urlsafe(40) + odd * ("redis" in key or "database" in key) + "\n")
    try:
        overlay.kubectl("create", "secret", "generic", "app-secrets", f"--from-file={folder}")
        before = overlay.kubectl("get", "secret", "app-secrets", "-o", "jsonpath={.data}")
        overlay.up()

        assert overlay.kubectl("get", "secret", "app-secrets", "-o", "jsonpath={.data}") == before
        api = Client(overlay.base_url, (folder / "api_token").read_text().strip())
        assert api.run("add", 2, 2, within=20)["result"] == 4
    finally:
        overlay.remove()
