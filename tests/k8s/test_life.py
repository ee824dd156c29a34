"""From an empty cluster to nothing, with the commands of k8s/README.md."""

import os
import subprocess

import pytest

from tests.e2e.client import Client
from tests.e2e.k8s import CHECKOUT, SHELL, Kubernetes
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


def test_up_proves_a_task_and_down_keeps_what_up_finds_again(overlay: Kubernetes) -> None:
    try:
        assert "add(2, 3) = 5" in make(overlay, "up")
        api = Client(overlay.base_url, overlay.api_token)
        overlay.stop("worker")
        queued, token = api.submit("add", 20, 22), overlay.api_token

        make(overlay, "down")
        wait_until(lambda: overlay.kubectl("get", "pods", "-o", "name") == "", 90)
        assert overlay.api_token == token

        overlay.name_the_address()  # a new Service has a new one
        assert "add(2, 3) = 5" in make(overlay, "up")
        assert Client(overlay.base_url, token).done(queued, within=20)["result"] == 42
    finally:
        overlay.run("delete", "-k", str(overlay.overlay), timeout=180)
    assert overlay.run("get", "namespace", overlay.namespace).returncode != 0, "delete -k must leave nothing"
