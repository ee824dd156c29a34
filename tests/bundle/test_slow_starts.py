"""A large project takes minutes to start on a slow machine: no runtime gives up on a role that still starts."""

import inspect
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "deploy"))
import kube  # noqa: E402 (in deploy/, which is no package)
import readiness  # noqa: E402
import replacing  # noqa: E402

LEAST = 300  # seconds
ROLES = ("web", "worker", "beat", "flower")


def test_the_verbs_wait_long_enough() -> None:
    waits = inspect.signature(readiness.wait_ready).parameters["seconds"].default
    assert min(waits, replacing.START_WITHIN, kube.READY_WITHIN) >= LEAST


def test_compose_waits_as_long() -> None:
    services = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
    for role in ROLES:
        assert services[role]["healthcheck"]["start_period"] == f"{LEAST}s", role


@pytest.mark.parametrize("file", [*(f"base/{role}.yaml" for role in ROLES), "components/queue/worker/worker.yaml"])
def test_no_startup_probe_ends_a_role_earlier(file: str) -> None:
    first = next(yaml.safe_load_all((PROJECT / "k8s" / file).read_text()))
    probe = first["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= LEAST
