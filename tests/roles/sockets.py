"""Raw HTTP to one web role: requests that no client library would send, and clients that stall."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

from tests.machine import patience

HOST = b"Host: localhost\r\n"


def head(line: str, **headers: str) -> bytes:
    """A request's head; `_` in a name stands for `-`."""
    lines = [f"{line} HTTP/1.1", "Host: localhost", *(f"{name.replace('_', '-')}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode()


class Answer:
    def __init__(self, raw: bytes):
        self.raw = raw
        top, _, self.body = raw.partition(b"\r\n\r\n")
        self.top = top.decode("latin-1")
        self.status = int(self.top.split(" ", 2)[1]) if raw else 0
        if "Transfer-Encoding: chunked" in self.top:
            self.body = self._joined(self.body)

    @staticmethod
    def _joined(rest: bytes) -> bytes:
        whole = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            whole, rest = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return whole

    def error(self) -> str:
        """The code of an answer in the contract's shape, which every error must have."""
        assert "application/json" in self.top, self.raw[:500]
        parts = json.loads(self.body)["error"]
        assert set(parts) == {"code", "message"}
        return str(parts["code"])


class Web:
    """The address of a web role."""

    def __init__(self, port: int):
        self.port = port

    def open(self, data: bytes = b"", window: int = 0) -> socket.socket:
        """A connection on which `data` was sent; `window` is how many bytes its owner takes in advance."""
        client = socket.socket()
        if window:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        client.settimeout(patience(20))
        try:
            client.connect(("127.0.0.1", self.port))
            client.sendall(data)
        except OSError:
            client.close()
            raise
        return client

    def ask(self, data: bytes, rest: bytes = b"") -> Answer:
        """Send a request and read until the server closes."""
        with self.open(data) as client:
            if rest:
                client.sendall(rest)
            return self.read(client)

    @staticmethod
    def read(client: socket.socket) -> Answer:
        raw = b""
        while piece := client.recv(1 << 20):
            raw += piece
        return Answer(raw)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask(head(f"GET {path}", Connection="close", **headers))

    def post(self, path: str, body: bytes, **headers: str) -> Answer:
        return self.ask(head(f"POST {path}", Connection="close", Content_Length=str(len(body)), **headers), body)

    @contextlib.contextmanager
    def stalled(self, many: int, data: bytes, window: int = 0) -> Iterator[list[socket.socket]]:
        """So many connections that have sent `data` and say no more."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.open(data, window)) for _ in range(many)]

    def is_alive(self) -> None:
        """Assert that /livez answers, several times, as a probe would ask it."""
        for _ in range(5):
            begun = time.monotonic()
            assert self.get("/livez").status == 200
            assert time.monotonic() - begun < patience(5), "a probe gives it five seconds"


def pieces(body: bytes, size: int = 10_000) -> bytes:
    """A body in chunks."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def multipart(size: int, name: str = "file") -> tuple[bytes, dict[str, Any]]:
    """The body of an upload of `size` bytes, and its Content-Type."""
    start = f'--edge\r\nContent-Disposition: form-data; name="{name}"; filename="a.csv"\r\n\r\n'.encode()
    return start + b"a" * size + b"\r\n--edge--\r\n", {"Content_Type": "multipart/form-data; boundary=edge"}
