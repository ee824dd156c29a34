"""Everything that would make `make up` fail, found before anything is started."""

import configparser
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from checkout import PROJECT, ROLES, Stop
from stack.runtime.env import APP_DIR, get
from stack.runtime.packages import unread
from stack.runtime.project import project
from stack.runtime.roles import problems
from supervision import CONF, RUN, SOCKET
from workers import check_own


def preflight(env: dict[str, str]) -> None:
    """Check variables, the list of packages, path, stop times, Redis's program and ports.

    Raises:
        Stop: with what is wrong and what to do.
    """
    secretless = env | dict.fromkeys(("SECRET_KEY", "REDIS_PASSWORD", "FLOWER_PASSWORD"), "unset")
    if found := list(dict.fromkeys(text for role in ROLES for text in problems(role, secretless))):
        raise Stop("\n".join(found))
    if why := unread(project(env), APP_DIR):
        raise Stop(why)
    check_own(secretless)
    if len(os.fsencode(SOCKET)) > 100:
        raise Stop(f"the path {SOCKET} is too long for a socket: move the project to a shorter path")
    if "%" in str(PROJECT):
        raise Stop(f"the path {PROJECT} holds a %, which supervisord reads as a variable: move the project")
    if get("STOP_GRACE", env) > (waits := min(stop_waits().values())):
        raise Stop(f"STOP_GRACE={get('STOP_GRACE', env)} exceeds stopwaitsecs={waits}: raise it in supervisord.conf")
    if Path(get("RUN_DIR", env)).resolve() != RUN.resolve():
        raise Stop(f"RUN_DIR={get('RUN_DIR', env)}: under supervisord it is {RUN}; take the variable out")
    find = [sys.executable, "deploy/redis_server.py", "--find"]
    if (server := subprocess.run(find, cwd=PROJECT, capture_output=True, text=True, check=False)).returncode:
        raise Stop(server.stderr.strip())
    free_ports(env)


def free_ports(env: dict[str, str]) -> None:
    """Check that each role has an address of its own, which nobody else listens on.

    Raises:
        Stop: with the port, what holds it, and the variable that chooses another.
    """
    listens = {name: get(name, env) for name in ("WEB_BIND", "FLOWER_BIND")}
    listens["REDIS_PORT"] = ("127.0.0.1", get("REDIS_PORT", env))
    for variable, (host, port) in listens.items():
        other_port = port + 100 if port < 65400 else port - 100
        choose = (
            f"choose another: put {variable}={host + ':' if variable != 'REDIS_PORT' else ''}{other_port} into .env"
        )
        for other, (others_host, others_port) in listens.items():
            if other != variable and port == others_port and meet(host, others_host):
                raise Stop(f"port {port} is in both {variable} and {other}: {choose}")
        if holder := who_listens(host, port):
            raise Stop(f"port {port} is taken by {holder}: stop that, or {choose}")


def meet(host: str, other: str) -> bool:
    """Whether one port cannot be listened on at both addresses: they are the same, or one means all."""
    one, two = numbers(host), numbers(other)
    return bool(one & two) or bool({"0.0.0.0", "::"} & (one | two))


def numbers(host: str) -> set[str]:
    """The addresses of a host's name, or the address itself."""
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return {host}


def stop_waits() -> dict[str, int]:
    """Seconds that supervisord waits for each role's stop."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(" ;",))
    parser.read(CONF)
    return {role: parser.getint(f"program:{role}", "stopwaitsecs") for role in ROLES}


def who_listens(host: str, port: int) -> str | None:
    """What holds a TCP port at this address, as well as it can be told, or None when it is free."""
    try:
        listening = [
            c
            for c in psutil.net_connections("tcp")
            if c.status == psutil.CONN_LISTEN and c.laddr.port == port and meet(host, c.laddr.ip)
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
