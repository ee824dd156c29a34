"""What the end-to-end tests may do to a running stack; each runtime is one class with these names."""

import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from tests.machine import patience


class Target(Protocol):
    """A stack that runs. `role` is a word of the role table, or `redis`."""

    base_url: str  # of the web role, without a slash at the end
    flower_url: str
    flower_password: str
    api_token: str  # empty where the API is open
    keeps: bool  # whether a role's files and log outlive its stop; a pod takes them along

    def up(self) -> None:
        """Start every role and return when each is ready."""

    def down(self) -> None:
        """Stop every role; queued tasks are kept."""

    def stop(self, role: str) -> None:
        """Stop one role in order and return when it has stopped."""

    def start(self, role: str) -> None:
        """Start one role again and return when it is ready."""

    def restart(self, role: str) -> None:
        """Restart one role in order and return when it is ready."""

    def signal(self, role: str, name: str) -> None:
        """Send a signal (KILL, STOP, CONT, TERM) to the role's main process."""

    def scale(self, role: str, count: int) -> None:
        """Run `count` processes of a role and return when all are ready."""

    def check(self, role: str, ready: bool = False) -> str | None:
        """The role's own health check: None, or its reason."""

    def lives(self) -> dict[str, int]:
        """A number for each process of a role, without Redis's: another one after a restart, and the same without."""

    def logs(self, role: str | None = None) -> str:
        """The log of one role, or of all: dumped when a test fails."""

    def refused(self) -> list[str]:
        """What Redis refused to whom since it was last asked, or since its start."""


class Operated(Target, Protocol):
    """A stack with whose operator's rights the tests may act too: one that runs on this machine."""

    def redis(self) -> Any:
        """A client with the operator's rights."""

    def restarted_with(self, role: str, line: str) -> AbstractContextManager[None]:
        """Run a block with one more variable, NAME=value, in a role's environment."""

    def manage(self, *arguments: str) -> str:
        """The output of manage.py with the rights of the web role."""


def ended(
    command: Sequence[str], folder: Path, env: dict[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """A command as the operator of a stack's folder would run it, once it has ended."""
    return subprocess.run(
        command,
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=patience(seconds),
        check=False,
    )


def refusals(admin: Any) -> list[str]:
    """What Redis noted of refusals since it was last asked, and forgets now."""
    found = [(entry["username"], entry["reason"], entry["object"]) for entry in admin.acl_log()]
    admin.acl_log_reset()
    # A wrong password is no refusal of what a role does; and Redis 6.2 names no subcommand, so what newer clients ask
    # when they connect, and do without, is `client` to it.
    return [" ".join(entry) for entry in found if entry[1] != "auth" and entry[2] != "client"]


def holds(stack: Operated, task_id: str) -> dict[str, int]:
    """In how many messages of Redis the task is, by place: queued, or given to a worker and not yet done."""
    with stack.redis() as admin:
        places = {"celery": admin.lrange("celery", 0, -1), "unacked": admin.hvals("unacked")}
    found = {place: sum(task_id in message for message in messages) for place, messages in places.items()}
    return {place: count for place, count in found.items() if count}


def ends_of_logs(target: Target, roles: tuple[str, ...], lines: int) -> list[tuple[str, str]]:
    """The last lines of each role's log, as sections under a failed test."""
    ends = {role: [line[:300] for line in target.logs(role).splitlines()[-lines:]] for role in roles}
    return [(f"the end of {role}'s log", "\n".join(end)) for role, end in ends.items()]
