"""The workers of supervisord beside the one of supervisord.conf: copies of it, and those of workers.ini."""

import configparser
import re
from collections.abc import Iterable

from checkout import PROJECT, Stop
from stack.runtime.env import VARS
from stack.runtime.roles import problems

COPIES = PROJECT / "run" / "supervisor.d"
OWN = PROJECT / "workers.ini"


def own_workers() -> dict[str, dict[str, str]]:
    """The sections of workers.ini: a worker each, with the variables in which it differs from the others.

    Raises:
        Stop: a section or a variable that cannot be one.
    """
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read(OWN, encoding="utf-8-sig")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise Stop(f"{OWN.name} cannot be read: {' '.join(str(error).split())}") from None
    for name in parser.sections():
        if not re.fullmatch(r"worker-[a-z0-9-]*[a-z][a-z0-9-]*", name):
            raise Stop(f"{OWN.name}: [{name}] must be [worker-<word>], in small letters, as [worker-emails]")
        if "WORKER_QUEUES" not in parser[name]:
            raise Stop(f"{OWN.name}: [{name}] has no WORKER_QUEUES: which queues is it for?")
        for variable, value in parser.items(name):
            if '"' in value or "%" in value:  # supervisord would read them in its own way
                raise Stop(f'{OWN.name}: {variable} of [{name}] holds a " or a %, which it cannot')
    return {name: dict(parser.items(name)) for name in parser.sections()}


def check_own(env: dict[str, str]) -> None:
    """Check the variables of each worker of workers.ini.

    Raises:
        Stop: with what is wrong and what to do.
    """
    for name, variables in own_workers().items():
        if unknown := variables.keys() - VARS.keys():
            raise Stop(f"{OWN.name}: [{name}] has {', '.join(sorted(unknown))}, which .env.example does not list")
        if found := problems("worker", env | variables | {"SERVICE_ROLE": "worker"}):
            raise Stop("\n".join(f"{OWN.name}: [{name}]: {text}" for text in found))


def variables_of(name: str) -> dict[str, str]:
    """What the worker of this name has of its own; nothing for the others."""
    return own_workers().get(name, {})


def numbered() -> list[int]:
    """The copies that `make scale` made."""
    found = (re.fullmatch(r"worker-(\d+)\.conf", file.name) for file in COPIES.glob("worker-*.conf"))
    return sorted(int(each[1]) for each in found if each)


def write(numbers: Iterable[int]) -> None:
    """Make the programs worker-<number> and those of workers.ini from the worker of supervisord.conf as it is now."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(PROJECT / "supervisord.conf")
    worker = {name: value.replace("%(here)s", str(PROJECT)) for name, value in parser.items("program:worker")}
    programs: dict[str, dict[str, str]] = {f"worker-{number}": {} for number in numbers}
    programs |= own_workers()
    for file in COPIES.glob("worker-*.conf"):
        file.unlink()
    for name, variables in programs.items():
        environment = ",".join([worker["environment"], *(f'{key}="{value}"' for key, value in variables.items())])
        lines = [f"{key}={value}" for key, value in (worker | {"environment": environment}).items()]
        (COPIES / f"{name}.conf").write_text("\n".join([f"[program:{name}]", *lines, ""]))
