"""A deploy that is broken off: nothing of it stays, or the next one puts it right."""

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.compose.test_deploy import ROLES, change, images
from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.machine import patience
from tests.traffic import load
from tests.waiting import wait_until


def broken_off(stack: Compose, sign: signal.Signals, when: Callable[[], bool]) -> str:
    """Begin a deploy and send it a signal at that moment; what it said."""
    command = [sys.executable, "deploy/rollout.py"]
    deploy = subprocess.Popen(
        command, cwd=stack.root, env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        wait_until(when, 90)
    finally:
        deploy.send_signal(sign)
        said = deploy.communicate(timeout=patience(60))[0]
    assert deploy.returncode != 0
    return said


def test_ctrl_c_removes_the_new_and_leaves_the_old_at_work(stack: Compose, api: Client) -> None:
    old = {role: stack.containers(role) for role in ("web", "beat", "flower")}
    before = images(stack)
    change(stack, "broken off by hand")

    with load(api) as seen:
        said = broken_off(stack, signal.SIGINT, lambda: len(stack.containers("web")) == 2)

    assert "interrupted" in said
    assert "web: the old version" in said
    assert not seen["failed"], seen["failed"][:5]
    assert {role: stack.containers(role, stopped=True) for role in old} == old
    script = "exec 3<>/dev/tcp/127.0.0.1/9999; echo show stat >&3; cat <&3"
    assert "DRAIN" not in stack.exec("proxy", "bash", "-c", script)
    assert stack.inspect(f"django-celery-stack:{stack.project}")["Id"] in before


@pytest.mark.slow
@pytest.mark.chaos
def test_after_a_killed_deploy_the_next_one_leaves_as_many_as_before(stack: Compose, api: Client) -> None:
    count = {role: len(stack.containers(role)) for role in ROLES}
    change(stack, "killed")
    broken_off(stack, signal.SIGKILL, lambda: len(stack.containers("worker")) == 2)
    # As it would be a moment later: the old one stopped and not removed.
    old = stack.containers("worker")[0]
    stack.run("docker", "stop", old)

    with load(api) as seen:
        done = stack.run("make", "deploy", "TARGET=compose")
    assert done.returncode == 0, done.stdout + done.stderr

    assert not seen["failed"], seen["failed"][:5]
    assert {role: len(stack.containers(role, stopped=True)) for role in ROLES} == count
    assert len(images(stack)) == 1
    assert old not in stack.containers("worker")
