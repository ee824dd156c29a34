"""`make shell|manage|logs|status` on a machine: with the environment of the supervisord of this checkout."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import psutil

from checkout import PROJECT, ROLES, Stop
from operate import Row, main, unknown, youngest
from readiness import not_ready
from stack.runtime.env import BadValue
from supervision import RUN, effective_environment, supervisor

NOT_UP = "not up: make up"
LOGS = RUN / "log"


def manage(role: str, arguments: Sequence[str], terminal: bool) -> NoReturn:
    """Become `manage.py` as the user who calls, with the role's secrets; the roles need not be up."""
    command = [sys.executable, str(PROJECT / "app" / "manage.py"), *arguments]
    os.chdir(PROJECT)
    os.execvpe(command[0], command, effective_environment() | {"SERVICE_ROLE": role})


def logs(role: str, tail: str, follow: bool) -> None:
    """Show the files in run/log; of `worker` also those of its copies and of the workers of workers.ini."""
    files = {file.stem: str(file.relative_to(PROJECT)) for file in sorted(LOGS.glob("*.log"))}
    if not files:
        raise Stop(NOT_UP)
    wanted = [file for name, file in files.items() if role in ("", name, role_of(name))]
    if not wanted:
        raise unknown(role, [*map(role_of, files), *files])
    lines = "+1" if tail == "all" else tail
    os.chdir(PROJECT)
    # By its name, not its file: supervisord puts a full one aside and begins another.
    os.execvp("tail", ["tail", "-n", lines, *["-F"][: int(follow)], *wanted])


def role_of(program: str) -> str:
    """The role of a program: worker-2 and worker-emails are workers; one of the team's own is its own role."""
    role = program.partition("-")[0]
    return role if role in ROLES else program


def status() -> Iterator[Row]:
    """A row for each role that supervisord runs, Redis and programs of the team's own too."""
    control = supervisor()
    if not control:
        raise Stop(NOT_UP)
    programs = {info["name"]: info for info in control.getAllProcessInfo()}
    reasons = not_ready(effective_environment(), list(programs))
    for name, info in programs.items():
        if info["statename"] != "RUNNING" and (info["statename"] != "STARTING" or name in reasons):
            reasons[name] = f"{info['statename'].lower()}; see run/log/{name}.log"
    commit = psutil.Process(control.getPID()).environ().get("GIT_COMMIT", "")[:12] or "-"
    starts = spawned()
    for role in dict.fromkeys(map(role_of, programs)):
        mine = [info for name, info in programs.items() if role_of(name) == role]
        yield Row(
            role,
            running=sum(bool(info["pid"]) for info in mine),
            ready=sum(info["name"] not in reasons for info in mine),
            wanted=len(mine),
            version=commit if role in ROLES else "-",
            since=youngest(datetime.fromtimestamp(info["start"], UTC) for info in mine if info["pid"]),
            restarts=sum(max(0, starts.get(info["name"], 1) - 1) for info in mine),
            reasons={info["name"]: reasons[info["name"]] for info in mine if info["name"] in reasons},
        )


def spawned() -> dict[str, int]:
    """How often this supervisord has started each program, by its own log."""
    found: dict[str, int] = {}
    try:
        text = (LOGS / "supervisord.log").read_text(errors="replace")
    except OSError:
        return found
    for name in re.findall(r"spawned: '([^']+)' with pid", text.rpartition("supervisord started with pid")[2]):
        found[name] = found.get(name, 0) + 1
    return found


def _main() -> Any:
    try:
        return main(manage, logs, status)
    except BadValue as reason:
        return str(reason)


if __name__ == "__main__":
    sys.exit(_main())
