"""The verbs of the supervisord runtime; the Makefile calls them.

python deploy/vm.py up                start every role, prove one task, print the addresses
python deploy/vm.py down              stop every role within the stop grace, Redis last
python deploy/vm.py scale worker 3    run three workers
python deploy/vm.py address           print the address of the web role
"""

import contextlib
import os
import subprocess
import sys
import time
from typing import Any
from xmlrpc.client import Fault

import psutil

import workers
from checkout import PROJECT, Stop
from preflight import preflight, stop_waits
from readiness import addresses, not_ready, wait_ready
from stack.ops import secretfiles
from stack.ops.proof import Failed, Waits, base, prove
from stack.runtime.env import BadValue, get
from supervision import CONF, RUN, SOCKET, effective_environment, names, run, supervisor

NEXT = """
  next      .venv/bin/supervisorctl -c supervisord.conf status   (restart worker, tail -f worker)
            make scale worker=3
            make down"""


def up(env: dict[str, str]) -> None:
    """Start what is not running and prove it."""
    begun = time.monotonic()
    if supervisor():
        print("already running; nothing was changed (`make down` stops it)")
        addresses(env)
        print(NEXT)
        if reasons := not_ready(env, names()):
            raise Stop(
                "\n".join(f"{name} is not ready: {why}; see run/log/{name}.log" for name, why in reasons.items())
            )
        return
    preflight(env)
    for folder in (RUN, RUN / "log", RUN / "redis", RUN / "supervisor.d"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    RUN.chmod(0o700)  # `manage.py` may have made it
    workers.write(workers.numbered())
    if made := secretfiles.make(RUN / "secrets"):
        print(f"made {len(made)} random secrets in run/secrets (0600)")
    env.setdefault("GIT_COMMIT", commit())
    run("applying migrations", [sys.executable, "app/service.py", "run", "migrate"], env)
    run(
        "starting supervisord",
        # By the interpreter: the program names it by a path that a moved checkout does not have any more.
        [sys.executable, str(PROJECT / ".venv/bin/supervisord"), "-c", str(CONF)],
        os.environ | {"GIT_COMMIT": env["GIT_COMMIT"]},
    )
    wait_ready(env, names())
    try:
        task, result = prove(env)
        print(f"{task} = {result}, over HTTP, Redis and a worker ({time.monotonic() - begun:.1f} s after the start)")
    except Waits as reason:
        print(reason)
    addresses(env)
    print(NEXT)


def commit() -> str:
    """The commit of the checkout, or an empty string outside of one."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def down(env: dict[str, str]) -> None:
    """Stop all roles at once, then Redis, so that a worker can requeue what it does not finish."""
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


def scale(env: dict[str, str], count: int) -> None:
    """Run `count` workers: the one of supervisord.conf and copies of it, each a program of its own.

    A program of its own, because supervisord restarts all processes of a program whose `numprocs` changes.
    """
    if not 1 <= count <= 64:
        raise Stop(f"worker={count}: it must be from 1 to 64; `supervisorctl stop worker` stops the last one")
    if not supervisor():
        raise Stop("not running: make up first")
    workers.check_own(env)
    workers.write(range(2, count + 1))
    control = [sys.executable, str(PROJECT / ".venv/bin/supervisorctl"), "-c", str(CONF)]
    run("updating supervisord", [*control, "update"], env)
    wait_ready(env, names())
    own = "".join(f", {name}" for name in workers.own_workers())
    print(f"{count} workers are ready{own}")


def main(arguments: list[str]) -> None:
    env = effective_environment()
    match arguments:
        case ["up"]:
            up(env)
        case ["down"]:
            down(env)
        case ["scale", "worker", count] if count.isdigit():
            scale(env, int(count))
        case ["address"]:
            print(base(env))
        case _:
            raise Stop(__doc__ or "")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Stop, BadValue, Failed) as reason:
        sys.exit(str(reason))
