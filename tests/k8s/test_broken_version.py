"""A new version that cannot start: nobody leaves for it, whichever role it is, and the way back is the old overlay."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes
from tests.waiting import wait_until

ROLES = ("web", "worker", "beat", "flower")
Names = dict[str, list[str]]
Step = Callable[[], None]
FAILING = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("demo", "0002_reports")]
    operations = [migrations.RunSQL("SELECT 1 / 0")]
"""
FILE = "/srv/app/demo/migrations/0099_fails.py"


def ready(stack: Kubernetes, role: str) -> dict[str, bool]:
    """The pods of a role by name, and whether each is in service."""
    return {
        pod["metadata"]["name"]: all(each["ready"] for each in pod["status"].get("containerStatuses", [{"ready": 0}]))
        for pod in stack.pods(role)
    }


@contextmanager
def rolled_out(
    stack: Kubernetes, write: Callable[[], None], back: Callable[[], None]
) -> Iterator[dict[str, list[str]]]:
    """Apply what `write` makes of the overlay, yield when each role has one new pod, and apply the old one again."""
    before = {role: stack.names(role) for role in ROLES}
    write()
    try:
        stack.kubectl("apply", "-k", str(stack.overlay))
        for role in ROLES:
            wait_until(lambda role=role: len(set(stack.names(role)) - set(before[role])) == 1, 60)  # type: ignore[misc]
        yield before
        for role in ROLES:
            assert ready(stack, role).items() >= dict.fromkeys(before[role], True).items(), role
            assert len(ready(stack, role)) == len(before[role]) + 1, f"{role}: one beside the old, and no second"
    finally:
        back()
        stack.kubectl("apply", "-k", str(stack.overlay))
        for role in ROLES:
            stack.wait_ready(role)
    assert {role: sorted(stack.names(role)) for role in ROLES} == {role: sorted(before[role]) for role in ROLES}


def new(stack: Kubernetes, role: str, before: Names) -> str:
    (name,) = set(stack.names(role)) - set(before[role])
    return name


@pytest.mark.slow
def test_an_image_that_is_not_there_replaces_nobody(stack: Kubernetes, api: Client) -> None:
    def refused(role: str, name: str) -> bool:
        (pod,) = [pod for pod in stack.pods(role) if pod["metadata"]["name"] == name]
        (state,) = pod["status"]["initContainerStatuses"]
        return state["state"]["waiting"]["reason"] in ("ErrImagePull", "ImagePullBackOff")

    with rolled_out(stack, lambda: stack.write("9.9.9"), stack.write) as before:
        for role in ROLES:
            wait_until(lambda role=role: refused(role, new(stack, role, before)), 60)  # type: ignore[misc]
        assert api.run("add", 2, 2, within=20)["result"] == 4


def test_a_variable_that_cannot_work_replaces_nobody(stack: Kubernetes, api: Client) -> None:
    def write() -> None:
        stack.variables["LOG_LEVEL"] = "loud"
        stack.write()

    def back() -> None:
        del stack.variables["LOG_LEVEL"]
        stack.write()

    def says_it(role: str, name: str) -> bool:
        container = "migrate" if role == "web" else "wait"
        return "LOG_LEVEL='loud'" in stack.run("logs", name, "-c", container).stdout

    with rolled_out(stack, write, back) as before:
        for role in ROLES:
            wait_until(lambda role=role: says_it(role, new(stack, role, before)), 120)  # type: ignore[misc]
        assert api.run("add", 2, 2, within=20)["result"] == 4


@pytest.mark.slow
def test_with_a_migration_that_fails_nobody_moves(stack: Kubernetes, api: Client) -> None:
    stack.kubectl("create", "configmap", "migration", "--from-file=fails=/dev/stdin", text=FAILING)
    mount = {"name": "migration", "mountPath": FILE, "subPath": "fails", "readOnly": True}
    volume = {"name": "migration", "configMap": {"name": "migration"}}
    operations = [
        {"op": "add", "path": "/spec/template/spec/initContainers/0/volumeMounts/-", "value": mount},
        {"op": "add", "path": "/spec/template/spec/volumes/-", "value": volume},
    ]
    patch = json.dumps({"target": {"kind": "Deployment"}, "patch": json.dumps(operations)})

    def write() -> None:
        stack.patches.append(patch)
        stack.write()

    def back() -> None:
        stack.patches.remove(patch)
        stack.write()

    try:
        with rolled_out(stack, write, back) as before:
            web = new(stack, "web", before)
            wait_until(lambda: "division by zero" in stack.run("logs", web, "-c", "migrate").stdout, 60)
            for role in ("worker", "beat", "flower"):
                name = new(stack, role, before)
                said = "waiting: 1 migrations are not applied"
                wait_until(lambda name=name, said=said: said in stack.run("logs", name, "-c", "wait").stdout, 60)  # type: ignore[misc]
            assert api.run("add", 2, 2, within=20)["result"] == 4
    finally:
        stack.kubectl("delete", "configmap", "migration")
