"""The verbs of the supervisord runtime; the Makefile calls them.

python deploy/vm.py up                start every role, prove one task, print the addresses
python deploy/vm.py down              stop every role within the stop grace, Redis last
python deploy/vm.py scale worker 3    run three workers
python deploy/vm.py address           print the address of the web role
"""

import os
import subprocess
import sys
import time

import workers
from checkout import PROJECT, Stop
from preflight import preflight
from readiness import addresses, not_ready, wait_ready
from stack.ops import secretfiles
from stack.ops.proof import prove
from stack.ops.web import Failed, Waits, base
from stack.runtime.env import BadValue
from stopping import down
from supervision import CONF, RUN, Ends, effective_environment, names, run, supervisor

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
    wait_ready(env, names(), Ends())
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
    wait_ready(env, names(), Ends())
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
