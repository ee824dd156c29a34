"""What a deploy names its images, and what it says when it stops half-way; Docker is a table here."""

import fcntl
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.supervisor import CHECKOUT

ROLES = ("worker", "web", "beat", "flower")


class Engine:
    """The tags there are, the image each role runs, and what the next build makes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.syspath_prepend(str(CHECKOUT / "deploy"))
        self.rollout: Any = importlib.import_module("rollout")
        self.tags, self.runs, self.next, self.breaks = {"app:1": "one"}, dict.fromkeys(ROLES, "one"), "one", ""
        self.there = {"one"}  # images
        for name, fake in {
            "docker": self.docker,
            "containers": lambda role: [role],
            "images": lambda role: {self.runs[role]},
            "image_id": lambda name: self.tags.get(name, ""),
            "image_name": lambda: "app:1",
            "reload_users": lambda: None,
            "roll": self.replace,
            "replace": self.replace,
        }.items():
            monkeypatch.setattr(self.rollout, name, fake)

    def docker(self, *arguments: str) -> str:
        if arguments[0] == "tag":
            self.tags[arguments[2]] = self.tags.get(arguments[1], arguments[1])
        if arguments[:2] == ("compose", "build"):
            self.tags["app:1"] = self.next
        if arguments[0] == "rmi":
            del self.tags[arguments[1]]
        # What has neither a name nor a container may be gone at any time: somebody prunes.
        self.there &= {*self.tags.values(), *self.runs.values()}
        self.there |= {self.next, *self.tags.values()} if arguments[:2] == ("compose", "build") else set()
        assert {*self.tags.values(), *self.runs.values()} <= self.there
        return ""

    def replace(self, role: str) -> None:
        if role == "flower":  # stopped before the new one starts
            self.runs[role] = self.tags["app:1"]
        if role == self.breaks:
            raise self.rollout.Stop(f"{role} breaks")
        self.runs[role] = self.tags["app:1"]

    def deploy(self, version: str = "", breaks: str = "") -> str:
        """Deploy this version, or roll back without one; what it gave up with."""
        self.next, self.breaks = version, breaks
        try:
            self.rollout.deploy(rollback=not version)
        except self.rollout.Stop as reason:
            return str(reason)
        return ""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(monkeypatch)


def test_the_way_back_outlives_a_repeated_and_a_failed_deploy(engine: Engine) -> None:
    assert "no deploy has replaced one yet" in engine.deploy()
    assert [engine.deploy("two"), engine.deploy("two")] == ["", ""]
    assert engine.tags == {"app:1": "two", "app:1-previous": "one"}

    assert "worker breaks" in engine.deploy("three", breaks="worker")

    assert engine.tags == {"app:1": "two", "app:1-previous": "one"}
    assert engine.deploy() == ""
    assert set(engine.runs.values()) == {"one"}
    assert "it is what runs" in engine.deploy()


def test_a_deploy_that_stops_half_way_says_what_runs_and_can_be_undone(engine: Engine) -> None:
    engine.deploy("two")

    said = engine.deploy("three", breaks="beat")

    assert "  worker: the new version\n  web: the new version\n  beat: the old version\n  flower: the old" in said
    assert "ROLLBACK=1" in said
    assert engine.tags["app:1"] == "two", "a later `docker compose up` would bring what just failed"
    assert engine.deploy() == ""
    assert set(engine.runs.values()) == {"two"}
    # One that stops half-way itself goes on to the same version.
    assert engine.deploy(breaks="beat")
    assert set(engine.runs.values()) == {"one", "two"}
    assert engine.deploy() == ""
    assert set(engine.runs.values()) == {"one"}


def test_where_only_flower_does_not_start_the_new_version_runs(engine: Engine) -> None:
    engine.deploy("two")

    said = engine.deploy("three", breaks="flower")

    assert "docker compose up -d flower" in said
    assert engine.tags == {"app:1": "three", "app:1-previous": "two"}
    # Deployed again, it is not taken for the one to go back to.
    assert engine.deploy("three", breaks="flower")
    assert engine.tags == {"app:1": "three", "app:1-previous": "two"}
    assert "ROLLBACK" not in engine.deploy(breaks="flower")
    assert (set(engine.runs.values()), engine.tags["app:1"]) == ({"two"}, "two")


def test_two_deploys_at_once_are_refused() -> None:
    folder = os.open(CHECKOUT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Without a PATH, so that it finds no Docker to change anything with where the lock is broken.
        command = [sys.executable, "deploy/rollout.py"]
        done = subprocess.run(command, cwd=CHECKOUT, env={"PATH": ""}, capture_output=True, text=True, check=False)
    finally:
        os.close(folder)

    assert done.returncode == 1
    assert "another deploy or rotation runs" in done.stderr


def test_a_deploy_pulls_nothing_over_the_image_that_was_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho $PULL_POLICY\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PULL_POLICY", "always")
    monkeypatch.syspath_prepend(str(CHECKOUT / "deploy"))
    assert importlib.import_module("containers").docker("compose", "up") == "never\n"
