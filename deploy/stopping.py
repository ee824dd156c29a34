"""How the stack on a machine stops: every role at once, then Redis; and what a killed supervisord has left running."""

import contextlib
import time
from typing import Any
from xmlrpc.client import Fault

import psutil

from checkout import Stop
from preflight import stop_waits
from stack.runtime.env import get
from supervision import RUN, SOCKET, names, supervisor


def down(env: dict[str, str]) -> None:
    """Stop all roles at once, then Redis, so that a worker can requeue what it does not finish.

    Raises:
        Stop: something does not end within its time.
    """
    control = supervisor()
    if not control:
        end_orphans(env)
        return
    pid = control.getPID()
    programs = names()
    print(
        f"stopping {', '.join(programs)}; running tasks have {get('STOP_GRACE', env) - 15} s to finish ...", flush=True
    )
    # Asked again until all have stopped: supervisord starts one anew that ended by itself just before.
    end = time.monotonic() + max(stop_waits().values()) + 20
    while running := [info["name"] for info in control.getAllProcessInfo() if is_running(info)]:
        if time.monotonic() > end:
            raise Stop(f"{', '.join(running)} did not stop; see run/log/supervisord.log")
        for name in running:
            with contextlib.suppress(Fault):  # it is stopping, or stopped in between
                control.stopProcess(name, False)
        time.sleep(0.1)
    control.shutdown()
    try:
        psutil.Process(pid).wait(60)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        raise Stop(f"supervisord (process {pid}) did not end within 60 s; see run/log/supervisord.log") from None
    print("stopped; queued tasks are kept in run/redis")


def end_orphans(env: dict[str, str]) -> None:
    """Stop what a supervisord that was killed has left running, Redis last.

    Raises:
        Stop: something does not end.
    """
    found = orphans()
    if not found:
        print("not running")
        return
    said = ", ".join(f"{name} (process {process.pid})" for process, name in found.items())
    print(f"supervisord has ended and left {said}; stopping ...", flush=True)
    for last in (False, True):
        group = [process for process, name in found.items() if (name == "redis") == last]
        for process in group:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, left = psutil.wait_procs(group, get("STOP_GRACE", env) + 20)
        if left:
            raise Stop(f"process {left[0].pid} ({found[left[0]]}) does not end")
    print("stopped; queued tasks are kept in run/redis")


def orphans() -> dict[psutil.Process, str]:
    """The programs that this checkout's supervisord has started, by their own word, with their names.

    Raises:
        Stop: it still runs, and cannot be reached.
    """
    found = {}
    for process in psutil.process_iter():
        try:
            environment, folder, parent = process.environ(), process.cwd(), process.ppid()
        except (psutil.Error, OSError):
            continue
        if environment.get("SUPERVISOR_SERVER_URL") == f"unix://{SOCKET}":
            found[process] = (environment["SUPERVISOR_PROCESS_NAME"], parent)
        elif folder == str(RUN / "redis") and process.name() in ("redis-server", "valkey-server"):
            found[process] = ("redis", parent)  # Redis writes its title over its environment
    # Not the processes of a pool, which their program ends.
    pids = {process.pid for process in found}
    for _, parent in found.values():
        if parent not in pids and any("supervisord" in word for word in command_of(parent)):
            raise Stop(f"supervisord (process {parent}) runs, and its socket is gone: kill -TERM {parent} stops all")
    return {process: name for process, (name, parent) in found.items() if parent not in pids}


def command_of(pid: int) -> list[str]:
    """The program of a process and its arguments; empty where it has ended."""
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def is_running(info: dict[str, Any]) -> bool:
    """Whether a program other than Redis still runs or may run again.

    supervisord starts within a second what has ended and is to run; what stays ended was to run once.
    """
    if info["name"] == "redis" or info["statename"] in ("STOPPED", "FATAL"):
        return False
    return info["statename"] != "EXITED" or info["now"] - info["stop"] < 3
