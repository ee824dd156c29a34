"""The verbs mean the same on each runtime, and those of Docker and Kubernetes need no .venv."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bundle.rendering import PROJECT

# Each verb of an operator that has a meaning there, with what it needs.
OPERATORS = ("up", "down", "status", "logs", "shell", "manage ARGS=check", "schedules-reset", "rotate-secret")
DRY = ("make", "--dry-run", "--no-print-directory")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What make reads, as it is after a clone."""
    root = tmp_path_factory.mktemp("fresh")
    for name in ("Makefile", "pyproject.toml", "docker/compose.mk", "k8s/cluster.mk", "app/project.env"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, root / name)
    return root


@pytest.mark.parametrize("verb", OPERATORS)
@pytest.mark.parametrize("runtime", ["compose", "k8s"])
def test_an_operators_verb_needs_no_venv_beside_an_engine_or_a_cluster(fresh: Path, runtime: str, verb: str) -> None:
    done = subprocess.run(
        [*DRY, *verb.split(), f"TARGET={runtime}"], cwd=fresh, capture_output=True, text=True, check=True
    )
    assert done.stdout
    assert ".venv" not in done.stdout


def test_a_runtime_that_is_none_is_refused(fresh: Path) -> None:
    done = subprocess.run([*DRY, "status", "TARGET=k8"], cwd=fresh, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "TARGET=k8: it must be supervisor, which is the default, compose or k8s" in done.stderr


def test_looking_at_a_stack_that_was_never_started_installs_nothing(fresh: Path) -> None:
    for verb in ("status", "logs"):
        done = subprocess.run(["make", "-s", verb], cwd=fresh, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert done.stderr.startswith("not up: make up\n")


def test_each_verb_of_a_runtime_reads_what_it_imports_without_a_venv() -> None:
    """With this machine's Python and nothing beside it: `-S` leaves out what was installed."""
    for name in ("operate_compose", "operate_cluster", "cluster", "rotate_secret"):
        code = f"import sys; sys.path.insert(0, 'deploy'); import {name}"
        subprocess.run(["python3", "-S", "-c", code], cwd=PROJECT, check=True, capture_output=True)


def test_scaling_elsewhere_is_refused_with_what_to_do_there(fresh: Path) -> None:
    for runtime, said in (("compose", "docker compose up -d --no-recreate --scale worker=3"), ("k8s", "replicas")):
        command = ["make", "-s", "scale", "worker=3", f"TARGET={runtime}"]
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert said in done.stderr
