"""A Redis for one developer, in this process's memory: fakeredis, for a machine that has no Redis.

python deploy/windows/embedded.py       (dev.py starts it; it needs the secrets in RUN_DIR)

It listens on 127.0.0.1:REDIS_PORT and takes each role's password. What it cannot do: keep anything (queued
tasks, results and schedules are gone when it ends), limit what a role's user may do, serve another machine, or
be fast. It is there to look at the stack and to write tasks, never for anything that others rely on.
"""

import io
import select
import socket
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "app"))

from fakeredis import TcpFakeServer  # noqa: E402
from fakeredis._clients import _tcp_server  # noqa: E402
from fakeredis._socket import FakeSocket  # noqa: E402

from stack.broker.rights import USERS  # noqa: E402
from stack.runtime.env import environment, get  # noqa: E402

_hello, _blocking = FakeSocket.hello, FakeSocket._blocking


def hello(self: Any, *words: bytes) -> Any:
    """HELLO as Redis does it: fakeredis reads the password behind AUTH and lets everybody in."""
    if b"AUTH" in words:
        at = words.index(b"AUTH")
        self._auth(*words[at + 1 : at + 3])
    return _hello(self, *words)


def blocking(self: Any, timeout: Any, command: Any, shape: Any = None) -> Any:
    """A command that waits, as BRPOP: fakeredis gives a task to a worker that died while it waited."""

    def unless_gone(first: bool) -> Any:
        if not first and is_gone(self.peer):
            raise ConnectionResetError
        return command(first)

    return _blocking(self, timeout, unless_gone, shape)


def is_gone(connection: socket.socket) -> bool:
    """Whether the other end of a socket that does not block has closed it."""
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class Replies(io.BufferedIOBase):
    """Writes a whole reply to a socket that does not block: fakeredis drops what exceeds the socket's buffer."""

    def __init__(self, connection: Any):
        self.connection = connection

    def write(self, data: Any) -> int:
        left = memoryview(data)
        while left:
            select.select([], [self.connection], [])
            left = left[self.connection.send(left) :]
        return len(data)


class Handler(_tcp_server.TCPFakeRequestHandler):
    def setup(self) -> None:
        # Where there is no fcntl, fakeredis leaves the socket blocking, and a subscriber gets its messages only
        # when it sends something itself: no remote control, no events in Flower.
        super().setup()
        self.connection.setblocking(False)
        self.writer.writer = Replies(self.connection)
        self.current_client.get_socket().peer = self.connection


def serve(port: int, passwords: dict[str, str]) -> TcpFakeServer:
    """A listening server that knows these users; call its `serve_forever`.

    Raises:
        OSError: the port is taken.
    """
    FakeSocket.hello, FakeSocket._blocking = hello, blocking
    # How long a message to a subscriber may lie. Each connection is asked so often; at 10 ms it took 15 % of a core.
    _tcp_server._POLL_INTERVAL = 0.05
    server = TcpFakeServer(("127.0.0.1", port), server_version=(7, 4))
    server.RequestHandlerClass = Handler
    server.daemon_threads = True
    acl = server.fake_server.acl
    acl.get_user_acl(b"default").reset()
    acl.get_user_acl(b"default").enabled = True
    acl.get_user_acl(b"default").set_nopass()
    acl.get_user_acl(b"default").add_command_or_category(b"+hello")
    for user, password in passwords.items():
        rights = acl.get_user_acl(user.encode())
        rights.add_password(password.encode())
        rights.add_key_pattern(b"*")
        rights.add_channel_pattern(b"*")
        rights.add_command_or_category(b"+@all")
    return server


def main() -> None:
    env = environment()
    secrets = Path(get("RUN_DIR", env)) / "secrets"
    users = [user for user in USERS if user != "admin"]
    passwords = {user: (secrets / user / "redis_password").read_text().strip() for user in users}
    with serve(get("REDIS_PORT", env), passwords) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
