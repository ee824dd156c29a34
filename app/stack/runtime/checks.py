"""Health checks by role: plain sockets and one file, because a probe runs every few seconds for ever.

Alive never asks Redis or the database; ready does. Each check returns None, or the reason in one line.
"""

import os
import time

from stack.runtime.env import BadValue, get, heartbeat_path, loop_limit, redis_url

STALE = 45  # seconds; under the 60 after which a hung loop ends itself, so that a probe sees it first
TIMEOUT = 2  # seconds for one answer


def check(role, env, ready=False):
    """Why `role` is not alive (or, with `ready`, not ready), or None when it is.

    Args:
        role: web, worker, beat or flower.
        env: mapping of environment variables, the same that the role runs with.
        ready: also ask whether it can do its work now.

    Returns:
        None, or one line of reason.
    """
    try:
        if role == "web":
            return _http(get("WEB_BIND", env), "/readyz" if ready else "/livez")
        if role == "flower":
            return _http(get("FLOWER_BIND", env), "/healthcheck") or (_redis(role, env) if ready else None)
        if role in ("worker", "beat"):
            return _heartbeat(role, env, ready) or (_redis(role, env) if ready else None)
    except BadValue as error:
        return str(error)
    return f"role {role!r} runs once and has no health check"


def _heartbeat(role, env, ready):
    path = heartbeat_path(role, env)
    try:
        with open(path, encoding="utf-8") as file:
            age, state = time.time() - os.stat(file.fileno()).st_mtime, file.read().strip()
    except FileNotFoundError:
        return f"{path} does not exist: {role} has not started"
    limit = loop_limit(role, env) - 60 + STALE
    if state == "stopping":
        limit = get("STOP_GRACE", env)
    if age < -5:
        # The clock was set back. A loop that turns writes the file anew within a second.
        return f"{path} is {-age:.0f} s in the future: its next beat is awaited"
    if age > limit:
        return f"the main loop has not turned for {age:.0f} s (limit {limit})"
    return None if not ready or state in ("ready", "standby") else state


def _connect(host, port):
    # The C module alone: importing `socket` would double the cost of the whole check.
    import _socket

    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}.get(host, host)
    if not host.replace(".", "").isdigit() and ":" not in host:
        family, _, _, _, address = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)[0]
        host = address[0]
    connection = _socket.socket(family, _socket.SOCK_STREAM)
    connection.settimeout(TIMEOUT)
    connection.connect((host, port))
    return connection


def _http(address, path):
    host, port = address
    try:
        connection = _connect(host, port)
        connection.send(b"GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" % path.encode())
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
        connection.close()
    except OSError as error:
        return f"no answer from {host}:{port}{path}: {error}"
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status == [b"200"]:
        return None
    return f"{path} answered {status[0].decode() if status else 'nothing'}: {body[:200].decode('utf-8', 'replace')}"


def _redis(role, env):
    scheme, user, host, port, _ = redis_url(role, env)
    try:
        connection = _connect(host, port)
        if scheme == "rediss":
            connection = _tls(connection, host)
        words = [b"AUTH", user.encode(), get("REDIS_PASSWORD", env).encode()]
        command = b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        connection.send(command + b"*1\r\n$4\r\nPING\r\n")
        answer = b""
        while answer.count(b"\r\n") < 2 and (chunk := connection.recv(4096)):
            answer += chunk
        connection.close()
    except OSError as error:
        return f"Redis at {host}:{port} does not answer: {error}"
    if answer == b"+OK\r\n+PONG\r\n":
        return None
    return f"Redis at {host}:{port} says {answer.decode('utf-8', 'replace').strip()[:200]!r}"


def _tls(connection, host):
    import socket
    import ssl

    wrapped = socket.socket(fileno=connection.detach())
    wrapped.settimeout(TIMEOUT)
    return ssl.create_default_context().wrap_socket(wrapped, server_hostname=host)
