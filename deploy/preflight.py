"""Everything that would make `make up` fail, found before anything is started."""

import configparser
import os
import socket
from pathlib import Path

import psutil

from control import CONF, RUN, SOCKET
from place import ROLES, Stop
from stack.env import get
from stack.roles import problems


def preflight(env: dict[str, str]) -> None:
    """Check variables, path, stop times and ports.

    Raises:
        Stop: with what is wrong and what to do.
    """
    secretless = env | dict.fromkeys(("SECRET_KEY", "REDIS_PASSWORD", "FLOWER_PASSWORD"), "unset")
    if found := list(dict.fromkeys(text for role in ROLES for text in problems(role, secretless))):
        raise Stop("\n".join(found))
    if len(os.fsencode(SOCKET)) > 100:
        raise Stop(f"the path {SOCKET} is too long for a socket: move the project to a shorter path")
    if get("STOP_GRACE", env) > (waits := min(stop_waits().values())):
        raise Stop(f"STOP_GRACE={get('STOP_GRACE', env)} exceeds stopwaitsecs={waits}: raise it in supervisord.conf")
    if Path(get("RUN_DIR", env)).resolve() != RUN.resolve():
        raise Stop(f"RUN_DIR={get('RUN_DIR', env)}: under supervisord it is {RUN}; take the variable out")
    ports = {"WEB_BIND": get("WEB_BIND", env)[1], "FLOWER_BIND": get("FLOWER_BIND", env)[1]}
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
        with socket.socket() as probe:
            return "another program" if probe.connect_ex(("127.0.0.1", port)) == 0 else None
    if not listening:
        return None
    pid = next((c.pid for c in listening if c.pid), None)
    try:
        return f"{psutil.Process(pid).name()} (process {pid})" if pid else "a program of another user"
    except psutil.Error:
        return f"process {pid}"
