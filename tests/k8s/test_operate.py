"""`make shell`, `manage`, `logs` and `status` with TARGET=k8s; the same as on a machine, and without a .venv."""

import json

import pytest

from tests.e2e.client import Client
from tests.e2e.k8s import CHECKOUT, Kubernetes
from tests.verbs import Verbs, operates_django
from tests.waiting import wait_until

REPLICAS = {"web": 2, "worker": 2, "beat": 1, "flower": 1, "redis": 1, "db": 1}


@pytest.fixture
def make(stack: Kubernetes) -> Verbs:
    return Verbs(CHECKOUT, stack.env | {"OVERLAY": str(stack.overlay)}, "k8s")


def test_djangos_commands_run_in_a_role_with_its_rights(make: Verbs) -> None:
    operates_django(make)


def test_the_logs_are_those_of_every_pod_of_a_role(stack: Kubernetes, make: Verbs, api: Client) -> None:
    task = api.run("add", 1, 1)["id"]
    done = make("logs", ROLE="worker", TAIL="all")
    assert task in done.stdout, done.stderr
    pods = {line.partition("]")[0] for line in done.stdout.splitlines() if line.startswith("[pod/")}
    assert {f"[pod/{name}/app" for name in stack.names("worker")} <= pods
    assert "/migrate] " in make("logs", ROLE="web", TAIL="3").stdout
    refused = make("logs", ROLE="workr")
    assert refused.returncode != 0
    assert "ROLE=workr: it must be one of beat, flower, web, worker, db, redis, make-secrets" in refused.stderr


def test_the_status_counts_who_is_ready_and_says_why_one_is_not(stack: Kubernetes, make: Verbs) -> None:
    def all_ready() -> dict[str, list[str]]:
        code, rows, below = make.rows()
        assert (code, below) == (0, "")
        return rows

    rows = wait_until(all_ready, 60)  # a check has a second or two for its answer
    assert {role: cells[1] for role, cells in rows.items()} == {role: f"{n} of {n}" for role, n in REPLICAS.items()}
    assert rows["web"][2].startswith("django-celery-stack:")

    # A worker that nobody can schedule, and so one that is not there.
    wanted = {"spec": {"replicas": 3, "template": {"spec": {"nodeSelector": {"none": "such"}}}}}
    stack.kubectl("patch", "deployment", "worker", "-p", json.dumps(wanted))
    try:
        code, rows, below = make.rows()
        assert code != 0
        assert rows["worker"][1] == "2 of 3"
        assert "is not ready" in below
    finally:
        stack.kubectl("rollout", "undo", "deployment/worker")
        stack.scale("worker", 2)


def test_a_stack_that_is_not_up_is_named_with_the_verb(stack: Kubernetes, make: Verbs) -> None:
    other = stack.overlay.parent / "nobody"
    other.mkdir()
    (other / "kustomization.yaml").write_text("namespace: nobody-is-here\nresources: [../../base]\n")
    make.env["OVERLAY"] = str(other)
    for verb in ("status", "logs", "shell"):
        done = make(verb)
        assert done.returncode != 0
        assert (
            f"{other} in the namespace nobody-is-here is not up: make up TARGET=k8s OVERLAY={other}" in done.stderr
        ), done.stderr
