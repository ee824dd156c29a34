"""`make shell`, `make manage`, `make logs` and `make status`: what they are on every runtime.

operate_vm.py, operate_compose.py and operate_cluster.py say how each is done there. They read ARGS, ROLE, TAIL and
FOLLOW from the environment, where the Makefile puts them: no shell reads them on the way.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn

from checkout import Stop

# The roles that run the project's code, and have its secrets; Flower has neither.
PROJECT_ROLES = ("web", "worker", "beat")
# What is not typed is read to its end: Django's shell itself looks once whether something has come already, and over
# a network it may not have.
FROM_INPUT = ("shell", "-v", "0", "-c", "import sys; exec(sys.stdin.read())")
COLUMNS = ("role", "running", "ready", "version", "since", "restarts")


@dataclass
class Row:
    """One role of a stack that is up.

    Attributes:
        running: instances that run, whether or not they are ready.
        wanted: instances that should be ready.
        since: when the youngest of them was started.
        reasons: why an instance is not ready, by its name; one line each.
    """

    role: str
    running: int = 0
    ready: int = 0
    wanted: int = 0
    version: str = "-"
    since: datetime | None = None
    restarts: int = 0
    reasons: dict[str, str] = field(default_factory=dict)


def main(
    manage: Callable[[str, Sequence[str], bool], NoReturn],
    logs: Callable[[str, str, bool], None],
    status: Callable[[], Iterable[Row]],
) -> None:
    """Do what the first argument says.

    Args:
        manage: become `manage.py` in a role, with arguments, on a terminal or not.
        logs: print the logs of a role (or of all where it is empty), so many lines or "all", and go on or not.
        status: a row for each role.
    """
    env = os.environ
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        match sys.argv[1:]:
            case ["shell"]:
                manage(a_project_role(), ("shell",) if sys.stdin.isatty() else FROM_INPUT, terminal)
            case ["manage"]:
                manage(a_project_role(), words(), terminal)
            case ["logs"]:
                logs(env.get("ROLE", ""), lines(), env.get("FOLLOW", "") not in ("", "0"))
            case ["status"]:
                rows = list(status())
                print(table(rows))
                sys.exit(int(any(row.ready < row.wanted for row in rows)))
            case _:
                sys.exit(__doc__)
    except (Stop, OSError) as reason:
        sys.exit(str(reason))
    except KeyboardInterrupt:
        sys.exit(130)


def a_project_role() -> str:
    """The role in which Django's commands run.

    Raises:
        Stop: it does not run the project's code.
    """
    role = os.environ.get("ROLE") or "web"
    if role not in PROJECT_ROLES:
        raise Stop(f"ROLE={role}: it must be a role that runs the project's code: {', '.join(PROJECT_ROLES)}")
    return role


def words() -> list[str]:
    """The words of ARGS, as a shell would split them.

    Raises:
        Stop: there are none, or a quote is not closed.
    """
    text = os.environ.get("ARGS", "")
    try:
        found = shlex.split(text)
    except ValueError as error:
        raise Stop(f"ARGS={text}: {error}") from None
    if not found:
        raise Stop("which command? make manage ARGS='createsuperuser', make manage ARGS='help' lists them")
    return found


def lines() -> str:
    """How many lines of each log: a number, or "all".

    Raises:
        Stop: TAIL is neither.
    """
    text = os.environ.get("TAIL") or "100"
    if text != "all" and not text.isdigit():
        raise Stop(f"TAIL={text}: it must be a number of lines, or all")
    return text


def unknown(role: str, accepted: Iterable[str]) -> Stop:
    """What to raise for a role that is not there."""
    return Stop(f"ROLE={role}: it must be one of {', '.join(dict.fromkeys(accepted))}")


def table(rows: Sequence[Row]) -> str:
    """The rows in columns, and below them why an instance is not ready."""
    cells = [COLUMNS]
    for row in rows:
        since = f"{row.since.astimezone():%Y-%m-%d %H:%M}" if row.since else "-"
        ready = f"{row.ready} of {row.wanted}"
        cells.append((row.role, str(row.running), ready, row.version, since, str(row.restarts)))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    said = [f"{name} is not ready: {why}" for row in rows for name, why in row.reasons.items()]
    return "\n".join([*text, *([""] if said else []), *said])


def said_by_check(command: Sequence[str]) -> str:
    """Why a role is not ready, by its own check, which `command` runs where the role is; empty where it is ready."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "its check has not answered for 20 s"
    return reason_of(done.stderr) if done.returncode else ""


def reason_of(output: str) -> str:
    """The one line in which `service.py check` says why, without what kubectl adds."""
    found = [line for line in output.splitlines() if line.startswith("service: ")] or output.strip().splitlines()
    return found[0].removeprefix("service: ") if found else "its check says nothing"


def youngest(times: Iterable[datetime | None]) -> datetime | None:
    """The latest of these times, or None where there is none."""
    return max((time for time in times if time), default=None)
