"""What the verbs of the supervisord runtime stand on: where things are, supervisord itself, one step at a time."""

import subprocess
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from checkout import PROJECT, Stop
from stack.runtime.env import environment

CONF = PROJECT / "supervisord.conf"
RUN = PROJECT / "run"
SOCKET = RUN / "supervisor.sock"


def supervisor() -> Any:
    """supervisord's XML-RPC interface, or None when it does not run.

    Raises:
        Stop: it is another user's.
    """
    proxy: Any = ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, f"unix://{SOCKET}"))
    try:
        proxy.supervisor.getState()
    except PermissionError:
        raise Stop(f"{SOCKET} is another user's: be the user who ran make up") from None
    except (OSError, Fault):
        return None
    return proxy.supervisor


def effective_environment() -> dict[str, str]:
    """The environment of the stack: of the one that runs, since `make up WEB_BIND=…` must hold for `make scale` too."""
    control = supervisor()
    return environment(base=psutil.Process(control.getPID()).environ()) if control else environment()


def names() -> list[str]:
    """The programs that supervisord runs, without Redis."""
    return [info["name"] for info in supervisor().getAllProcessInfo() if info["name"] != "redis"]


class Ends:
    """How often each program of supervisord has ended since this was made; ask more often than they end."""

    def __init__(self) -> None:
        self._starts: dict[str, set[int]] = {}

    def __call__(self) -> dict[str, int]:
        """The programs that have ended, and how many times.

        Raises:
            Stop: supervisord itself has ended.
        """
        if not (control := supervisor()):
            raise Stop("supervisord has ended: see run/log/supervisord.log")
        found = {}
        for info in control.getAllProcessInfo():
            starts = self._starts.setdefault(info["name"], set())
            starts.add(info["start"])  # 0 where somebody stopped it before
            if times := len(starts) - (info["statename"] in ("STARTING", "RUNNING")):
                found[info["name"]] = times
        return found


def run(what: str, command: list[str], env: dict[str, str]) -> None:
    """Run one step, saying so; its output is shown only when it fails."""
    print(f"{what} ...", flush=True)
    # A file, not a pipe: supervisord goes on in the background and would hold the pipe open.
    log = RUN / "log" / "up.log"
    with log.open("w") as output:
        code = subprocess.call(command, cwd=PROJECT, env=env, stdout=output, stderr=subprocess.STDOUT)
    if code:
        raise Stop(f"{what} failed:\n{log.read_text()}")
