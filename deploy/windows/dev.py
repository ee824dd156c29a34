"""The development profile for Windows: every role and a Redis under this one console, until Ctrl+C.

py -3 deploy\\windows\\dev.py       (on Linux and macOS it runs too: python3 deploy/windows/dev.py)

The first time it makes .venv from the locked requirements; then it goes on in there.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent
VENV = DEPLOY.parent / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = [DEPLOY.parent / "requirements" / f"{group}.txt" for group in ("base", "windows")]
# What the project lists: by convention, or where app/project.env says.
LISTS = ("project.env", "*/requirements*.txt", "*/requirements/*.txt", "*/pyproject.toml")
# Behind what is installed: deploy/redis_server.py must not stand for the package of that name.
sys.path.append(str(DEPLOY))


def enter_venv() -> int:
    """Make .venv where it is missing or old, and run this file in it; returns its exit code."""
    if not (3, 11) <= sys.version_info[:2] < (3, 15):
        sys.exit(f"Python 3.11 to 3.14 is needed, this is {sys.version.split()[0]}: py --list shows what is installed")
    mark = VENV / ".windows"
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check"]
    # One that was broken off has a Python, and no pip.
    if not PYTHON.exists() or (
        not mark.exists() and subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode
    ):
        print("making .venv ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    lists = [file for pattern in LISTS for file in (DEPLOY.parent / "app").glob(pattern)]
    if not mark.exists() or mark.stat().st_mtime < max(file.stat().st_mtime for file in REQUIREMENTS + lists):
        print("installing the locked requirements into .venv (a minute the first time) ...", flush=True)
        own, wanted = [str(PYTHON), str(DEPLOY.parent / "docker/requirements.py")], VENV / "wanted"
        files = [word for file in (wanted / "lock.txt", *REQUIREMENTS[1:]) for word in ("-r", str(file))]
        steps = (
            [*own, "read", str(DEPLOY.parent / "app"), str(wanted)],
            [*pip, "install", "--quiet", "--require-hashes", *files],
            [*own, "install", str(wanted)],
        )
        if any(subprocess.call(step) for step in steps):
            sys.exit("the requirements could not be installed: see above, then run this again")
        mark.touch()
    # Ctrl+C reaches both; the one inside decides how to stop.
    for name in ("SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: None)
    return subprocess.Popen([str(PYTHON), str(Path(__file__).resolve()), *sys.argv[1:]]).wait()


def environment_of_roles() -> dict[str, str]:
    """The process's environment and .env, with what development on Windows needs where neither says otherwise."""
    from stack.runtime.env import environment

    env = environment()
    for name, value in {"LOG_FORMAT": "console", "WORKER_POOL": "eventlet", "WEB_SERVER": "django"}.items():
        if not env.get(name):
            env[name] = value
    # A pipe is not a console: without these, lines come in blocks and in the code page of 1987.
    return env | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def preflight(env: dict[str, str], ports: dict[str, int]) -> None:
    """Find what would make the start fail.

    Raises:
        Stop: with what is wrong and what to do.
    """
    import socket

    from checkout import ROLES, Stop
    from stack.runtime.env import APP_DIR
    from stack.runtime.packages import unread
    from stack.runtime.project import project
    from stack.runtime.roles import problems

    if found := list(dict.fromkeys(text for role in ROLES for text in problems(role, env | {"SERVICE_ROLE": role}))):
        raise Stop("\n".join(found))
    if why := unread(project(env), APP_DIR):
        raise Stop(why)
    for variable, port in ports.items():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise Stop(f"port {port} is taken: stop what listens there, or set {variable} to another in .env")


def main() -> int:
    from broker import choose
    from console import Console, Program

    from checkout import PROJECT, ROLES
    from stack.ops import secretfiles
    from stack.runtime.env import APP_DIR, get
    from stack.runtime.projectenv import project_variables
    from stack.runtime.roles import argv

    begun = time.monotonic()
    env = environment_of_roles()
    run = Path(get("RUN_DIR", env))
    logs = run / "log"
    logs.mkdir(parents=True, exist_ok=True)
    if made := secretfiles.make(run / "secrets"):
        print(f"made {len(made)} random secrets in {run / 'secrets'}")
    extra, words, redis_command = choose(env)
    print(words, flush=True)
    env |= extra
    ports = {"WEB_BIND": get("WEB_BIND", env)[1], "FLOWER_BIND": get("FLOWER_BIND", env)[1]}
    preflight(env, ports | ({"REDIS_PORT": get("REDIS_PORT", env)} if redis_command else {}))
    migrate = [sys.executable, str(PROJECT / "app" / "service.py"), "run", "migrate"]
    print("applying migrations ...", flush=True)
    if (done := subprocess.run(migrate, env=env, capture_output=True, text=True, check=False)).returncode:
        print(done.stdout + done.stderr)
        return 1

    console = Console(logs, get("STOP_GRACE", env) + 20)
    if redis_command:
        console.start(Program("redis", redis_command, env, PROJECT, last=True))
    for role in ROLES:
        path = os.pathsep.join(filter(None, [APP_DIR, env.get("PYTHONPATH")]))
        variables = env | {"SERVICE_ROLE": role, "INSTANCE": role, "PYTHONPATH": path} | project_variables(role, env)
        console.start(Program(role, argv(role, variables), variables, Path(APP_DIR)))
    return console.run(lambda: prove_all(console, env, begun))


def prove_all(console, env, begun):  # type: ignore[no-untyped-def]
    """Wait for every role, run one task, say where things are; on failure stop everything."""
    import contextlib
    import io

    from checkout import ROLES, Stop
    from readiness import addresses, wait_ready
    from stack.ops.proof import prove
    from stack.ops.web import Failed, Waits

    try:
        wait_ready(env, list(ROLES), lambda: {each.name: each.ends for each in console.programs if each.ends})
        task, result = prove(env)
        seconds = time.monotonic() - begun
        console.say(f"{task} = {result}, over HTTP, Redis and a worker ({seconds:.1f} s after the start)")
    except Waits as reason:
        console.say(str(reason))
    except (Stop, Failed) as reason:
        console.fail(str(reason))
        return
    with contextlib.redirect_stdout(io.StringIO()) as text:
        addresses(env)
    console.say(text.getvalue() + "\n  Ctrl+C stops everything")


if __name__ == "__main__":
    if Path(sys.prefix).resolve() != VENV.resolve():
        sys.exit(enter_venv())
    import checkout  # noqa: F401 (it puts app/ on the path)
    from checkout import Stop
    from stack.runtime.env import BadValue

    try:
        sys.exit(main())
    except (Stop, BadValue) as reason:
        sys.exit(str(reason))
