"""The verbs of the supervisord runtime; the Makefile calls them.

python deploy/vm.py up                start every role, prove one task, print the addresses
python deploy/vm.py down              stop every role within the stop grace, Redis last
python deploy/vm.py scale worker 3    run three workers
"""

import configparser
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "app"))

from stack import secretfiles  # noqa: E402
from stack.checks import check  # noqa: E402
from stack.env import environment, get  # noqa: E402
from stack.roles import problems  # noqa: E402

ROLES = ("web", "worker", "beat", "flower")
CONF = PROJECT / "supervisord.conf"
RUN = PROJECT / "run"
SOCKET = RUN / "supervisor.sock"


class Stop(Exception):
    """A reason to stop with exit code 1; the text names the fix."""


def supervisor() -> Any:
    """supervisord's XML-RPC interface, or None when it does not run."""
    proxy: Any = ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, f"unix://{SOCKET}"))
    try:
        proxy.supervisor.getState()
    except (OSError, Fault):
        return None
    return proxy.supervisor


def up(env: dict[str, str]) -> None:
    """Start what is not running and prove it."""
    begun = time.monotonic()
    if supervisor():
        print("already running; nothing was changed (`make down` stops it)")
        addresses(env)
        return
    preflight(env)
    for folder in (RUN, RUN / "log", RUN / "redis", RUN / "supervisor.d"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if made := secretfiles.make(RUN / "secrets"):
        print(f"made {len(made)} random secrets in run/secrets (0600)")
    run("applying migrations", [sys.executable, "app/service.py", "run", "migrate"], env)
    run("starting supervisord", [str(PROJECT / ".venv/bin/supervisord"), "-c", str(CONF)], env)
    wait_ready(env)
    task, result = prove(env)
    print(f"{task} = {result}, over HTTP, Redis and a worker ({time.monotonic() - begun:.1f} s after the start)")
    addresses(env)


def preflight(env: dict[str, str]) -> None:
    """Everything that would make the start fail, found before anything is started."""
    secretless = env | dict.fromkeys(("SECRET_KEY", "REDIS_PASSWORD", "FLOWER_PASSWORD"), "unset")
    if found := list(dict.fromkeys(text for role in ROLES for text in problems(role, secretless))):
        raise Stop("\n".join(found))
    if len(os.fsencode(SOCKET)) > 100:
        raise Stop(f"the path {SOCKET} is too long for a socket: move the project to a shorter path")
    if get("STOP_GRACE", env) > (waits := min(stop_waits().values())):
        raise Stop(f"STOP_GRACE={get('STOP_GRACE', env)} exceeds stopwaitsecs={waits}: raise it in supervisord.conf")
    ports = {"WEB_BIND": get("WEB_BIND", env)[1], "FLOWER_BIND": get("FLOWER_BIND", env)[1]}
    if not env.get("REDIS_URL"):
        ports["REDIS_PORT"] = get("REDIS_PORT", env)
    for variable, port in ports.items():
        if holder := who_listens(port):
            example = port + 100 if variable == "REDIS_PORT" else f"127.0.0.1:{port + 100}"
            raise Stop(f"port {port} is taken by {holder}: stop that, or choose another: make up {variable}={example}")


def stop_waits() -> dict[str, int]:
    """Seconds that supervisord waits for each role's stop."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(" ;",))
    parser.read(CONF)
    return {role: parser.getint(f"program:{role}", "stopwaitsecs") for role in ROLES}


def who_listens(port: int) -> str | None:
    """What holds a TCP port, as well as it can be told, or None when it is free."""
    try:
        listening = [
            c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port
        ]
    except psutil.AccessDenied:  # macOS tells only root
        import socket

        with socket.socket() as probe:
            return "another program" if probe.connect_ex(("127.0.0.1", port)) == 0 else None
    if not listening:
        return None
    pid = next((c.pid for c in listening if c.pid), None)
    try:
        return f"{psutil.Process(pid).name()} (process {pid})" if pid else "a program of another user"
    except psutil.Error:
        return f"process {pid}"


def run(what: str, command: list[str], env: dict[str, str]) -> None:
    """Run one step, saying so; its output is shown only when it fails."""
    print(f"{what} ...", flush=True)
    # A file, not a pipe: supervisord goes on in the background and would hold the pipe open.
    log = RUN / "log" / "up.log"
    with log.open("w") as output:
        code = subprocess.call(command, cwd=PROJECT, env=env, stdout=output, stderr=subprocess.STDOUT)
    if code:
        raise Stop(f"{what} failed:\n{log.read_text()}")


def wait_ready(env: dict[str, str], seconds: float = 60) -> None:
    """Wait until the readiness check of every role passes."""
    print("waiting until every role is ready ...", flush=True)
    names = [info["name"] for info in supervisor().getAllProcessInfo() if info["name"] != "redis"]
    end, waiting = time.monotonic() + seconds, dict.fromkeys(names, "")
    while waiting:
        for name in list(waiting):
            role = name.partition("-")[0]
            reason = check(role, env | {"SERVICE_ROLE": role, "INSTANCE": name}, ready=True)
            waiting[name] = reason or ""
            if reason is None:
                del waiting[name]
        if waiting and time.monotonic() > end:
            raise Stop(
                "\n".join(f"{name} is not ready: {why}; see run/log/{name}.log" for name, why in waiting.items())
            )
        time.sleep(0.1)


def prove(env: dict[str, str]) -> tuple[str, Any]:
    """Run one task through the front door: add(2, 3), or `ping` in a project without the demo."""
    names = [task["name"] for task in call(env, "/api/tasks")]
    name, args = ("add", [2, 3]) if "add" in names else ("ping", [])
    accepted = call(env, f"/api/tasks/{name}", {"args": args})
    done = call(env, f"{accepted['url']}?wait=20")
    if not done["successful"]:
        raise Stop(f"{name} did not succeed: {done}; see run/log/worker.log")
    return f"{name}({', '.join(map(str, args))})", done["result"]


def call(env: dict[str, str], path: str, body: Any = None) -> Any:
    """One HTTP call to the web role; a body makes it a POST."""
    headers = {"Content-Type": "application/json"}
    if token := get("API_TOKEN", env):
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(base(env) + path, data, headers), timeout=35) as answer:
            return json.load(answer)
    except urllib.error.URLError as error:
        raise Stop(f"{path}: {error}; see run/log/web.log") from error


def base(env: dict[str, str], variable: str = "WEB_BIND") -> str:
    host, port = get(variable, env)
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"


def addresses(env: dict[str, str]) -> None:
    print(f"""
  page      {base(env)}/
  API       {base(env)}/api/docs
  Flower    {base(env, "FLOWER_BIND")}/   user flower, password in run/secrets/flower/flower_password

  next      .venv/bin/supervisorctl -c supervisord.conf status   (restart worker, tail -f worker)
            make scale worker=3
            make down""")


def down(env: dict[str, str]) -> None:
    """Stop all roles at once, then Redis, so that a worker can hand back what it does not finish."""
    control = supervisor()
    if not control:
        print("not running")
        return
    pid = control.getPID()
    names = [info["name"] for info in control.getAllProcessInfo() if info["name"] != "redis"]
    print(f"stopping {', '.join(names)}; running tasks have {get('STOP_GRACE', env) - 15} s to finish ...", flush=True)
    for name in names:
        try:
            control.stopProcess(name, False)
        except Fault:
            pass  # it was stopped already
    stopping = ("STOPPING", "RUNNING", "STARTING")
    while any(info["statename"] in stopping for info in control.getAllProcessInfo() if info["name"] != "redis"):
        time.sleep(0.1)
    control.shutdown()
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.1)
    print("stopped; queued tasks are kept in run/redis")


def scale(env: dict[str, str], count: int) -> None:
    """Run `count` workers: the one of supervisord.conf and copies of it, each a program of its own.

    A program of its own, because supervisord restarts all processes of a program whose `numprocs` changes.
    """
    if not 1 <= count <= 64:
        raise Stop(f"worker={count}: it must be from 1 to 64; `supervisorctl stop worker` stops the last one")
    if not supervisor():
        raise Stop("not running: make up first")
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(CONF)
    lines = [f"{name}={value}".replace("%(here)s", str(PROJECT)) for name, value in parser.items("program:worker")]
    folder = RUN / "supervisor.d"
    wanted = {f"worker-{number}.conf": number for number in range(2, count + 1)}
    for file in folder.glob("worker-*.conf"):
        if file.name not in wanted:
            file.unlink()
    for name in wanted:
        (folder / name).write_text("\n".join([f"[program:{Path(name).stem}]", *lines, ""]))
    run("updating supervisord", [str(PROJECT / ".venv/bin/supervisorctl"), "-c", str(CONF), "update"], env)
    wait_ready(env)
    print(f"{count} workers are ready")


def main(arguments: list[str]) -> None:
    env = environment()
    match arguments:
        case ["up"]:
            up(env)
        case ["down"]:
            down(env)
        case ["scale", "worker", count] if count.isdigit():
            scale(env, int(count))
        case _:
            raise Stop(__doc__ or "")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Stop as reason:
        sys.exit(str(reason))
