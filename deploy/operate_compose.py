"""`make shell|manage|logs|status TARGET=compose`: in the containers of the compose stack of this folder."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any, NoReturn

from checkout import PROJECT, Stop
from containers import containers, docker
from operate import Row, main, said_by_check, unknown, youngest

NOT_UP = "not up: make up TARGET=compose"
SERVICE = "com.docker.compose.service"
ONCE = ("no", "on-failure")  # the restart policies of what runs once and ends
CLEAR = b"\x1b[2K"
Container = dict[str, Any]


def manage(role: str, arguments: Sequence[str], terminal: bool) -> NoReturn:
    """Become `manage.py` in a running container of the role, as the role's user and with its secrets.

    Where none runs, as after a migration that failed, it is a container of its own, which is removed afterwards.
    """
    if not everything():
        raise Stop(NOT_UP)
    program = ("env", f"SERVICE_ROLE={role}", "python", "app/manage.py", *arguments)
    if there := containers(role):
        command = ["docker", "exec", "-it" if terminal else "-i", there[0], *program]
    else:
        print(f"{role} is not up: in a container of its own", file=sys.stderr)
        options = ("--rm", "--no-deps", *(() if terminal else ("-T",)), "--entrypoint", program[0])
        command = ["docker", "compose", "run", *options, role, *program[1:]]
    os.chdir(PROJECT)
    os.execvpe(command[0], command, os.environ | {"PULL_POLICY": "never"})


def logs(role: str, tail: str, follow: bool) -> None:
    """Print the logs of a service, of `worker` also those of the workers for queues of their own."""
    services = docker("compose", "config", "--services").split()
    if role and role not in services:
        raise unknown(role, sorted(services))
    if not everything():
        raise Stop(NOT_UP)
    wanted = [name for name in services if name == role or (role == "worker" and name.startswith("worker-"))]
    options = ("--tail", tail, *["--follow"][: int(follow)])
    os.chdir(PROJECT)
    if sys.stdout.isatty():
        os.execvp("docker", ["docker", "compose", "logs", *options, *wanted])
    # Into a pipe it would paint as well, and some versions of compose clear each line first, whatever they are told.
    command = ["docker", "compose", "logs", "--no-color", *options, *wanted]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process, suppress(KeyboardInterrupt, BrokenPipeError):
        for line in process.stdout or ():
            sys.stdout.buffer.write(line.removeprefix(CLEAR))
            sys.stdout.buffer.flush()
    if process.returncode > 0:
        raise Stop(f"docker compose logs ended with {process.returncode}")


def everything() -> list[Container]:
    """What the engine knows of the stack's containers, those that have ended too; not of `docker compose run`."""
    ids = docker("compose", "ps", "-aq").split()
    found = json_of(ids) if ids else []
    return [each for each in found if each["Config"]["Labels"].get("com.docker.compose.oneoff") != "True"]


def json_of(ids: Sequence[str]) -> list[Container]:
    """What the engine knows of these containers."""
    return json.loads(docker("inspect", *ids))


def status() -> Iterator[Row]:
    """A row for each service; what runs once is left out when it has ended well."""
    there = everything()
    if not there:
        raise Stop(NOT_UP)
    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(why_not, there))
    for service in docker("compose", "config", "--services").split():
        mine = [
            (each, why)
            for each, why in zip(there, reasons, strict=True)
            if each["Config"]["Labels"][SERVICE] == service
        ]
        if not mine:
            yield Row(service, wanted=1, reasons={service: f"it has no container: {NOT_UP.partition(': ')[2]}"})
        elif any(why for _, why in mine) or not all(ended_well(each) for each, _ in mine):
            yield row(service, mine)


def row(service: str, mine: list[tuple[Container, str]]) -> Row:
    """The row of a service that has containers."""
    alive = [each for each, _ in mine if each["State"]["Running"]]
    return Row(
        service,
        running=len(alive),
        ready=sum(not why for _, why in mine),
        wanted=len(mine),
        version=mine[0][0]["Config"]["Image"],
        since=youngest(moment(each["State"]["StartedAt"]) for each in alive),
        restarts=sum(each["RestartCount"] for each, _ in mine),
        reasons={each["Name"].lstrip("/"): why for each, why in mine if why},
    )


def ended_well(container: Container) -> bool:
    """Whether it has done what it runs once for."""
    once = container["HostConfig"]["RestartPolicy"]["Name"] in ONCE
    return once and container["State"]["Status"] == "exited" and container["State"]["ExitCode"] == 0


def why_not(container: Container) -> str:
    """Why a container is not ready, or an empty string. Our check is run; the engine's word may be 30 s old."""
    state = container["State"]
    if ended_well(container):
        return ""
    if state["Status"] != "running":
        return f"{state['Status']}, exit code {state['ExitCode']}"
    test = (container["Config"].get("Healthcheck") or {}).get("Test") or []
    if "app/service.py" in test:
        return said_by_check(["docker", "exec", container["Id"], *test[1:]])
    health = state.get("Health") or {"Status": "healthy", "Log": []}
    if health["Status"] == "healthy":
        return ""
    said = health["Log"][-1]["Output"].strip().splitlines() if health["Log"] else []
    return f"{health['Status']} {said[0] if said else ''}".strip()


def moment(text: str) -> datetime:
    """A time as the engine writes it, in nanoseconds."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00"))


if __name__ == "__main__":
    sys.exit(main(manage, logs, status))
