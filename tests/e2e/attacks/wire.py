"""Bytes out, answers in: no HTTP library sends what an attacker does."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.machine import patience

QUIET = 0.15  # seconds without a byte after a whole answer: no second one comes before more is sent
SILENT = 1.2  # seconds for the first byte: a server that waits for the rest of a body says nothing until it ends
LIMIT = 6  # seconds from the end of what is sent to the end of the last answer


@dataclass(frozen=True)
class Front:
    """One way into the stack.

    Args:
        tls: over TLS; nobody here checks a certificate
        proxy: two servers read each request there, and must read the same; else one does, and must refuse what a
            proxy of another make could read otherwise
    """

    name: str
    host: str
    port: int
    tls: bool = False
    proxy: bool = True

    def connect(self, alpn: str = "http/1.1") -> socket.socket:
        """A new connection. Raises OSError where TLS is used and the server does not speak `alpn`."""
        plain = socket.create_connection((self.host, self.port), timeout=patience(5))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.tls:
            return plain
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([alpn])
        secure = context.wrap_socket(plain)
        if alpn != "http/1.1" and secure.selected_alpn_protocol() != alpn:
            secure.close()
            raise ConnectionRefusedError(f"{self.name} does not speak {alpn}")
        return secure


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""
    whole: bool = True


def send(front: Front, data: bytes, alpn: str = "http/1.1") -> bytes:
    """Everything that came back for `data`, until the server has closed.

    The sending side is closed only when the server has nothing more to say: a server that acts on the rest of a body
    as on a request of its own has had the time to do so.
    """
    received = b""
    with contextlib.closing(front.connect(alpn)) as connection:
        with contextlib.suppress(OSError):  # it may refuse at the first line, and close
            connection.sendall(data)
        for limit, end in ((patience(SILENT), False), (patience(LIMIT), True)):
            if end:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_WR)  # not SSLSocket's, which forgets its keys
            until = time.monotonic() + limit
            while (left := until - time.monotonic()) > 0:
                connection.settimeout(min(left, patience(QUIET)) if received and not end else left)
                try:
                    piece = connection.recv(65536)
                except (TimeoutError, ssl.SSLWantReadError):
                    break
                except OSError:  # reset: it has closed with some of our bytes unread
                    return received
                if not piece:
                    return received
                received += piece
                until = time.monotonic() + limit
    return received


def answers(raw: bytes, head: bool = False) -> list[Answer]:
    """The answers of HTTP/1 that `raw` holds, without those that only announce one (1xx, but 101)."""
    return list(_answers(raw, head))


def _answers(raw: bytes, head: bool) -> Iterator[Answer]:
    while raw.startswith(b"HTTP/"):
        top, found, rest = raw.partition(b"\r\n\r\n")
        line, *lines = top.decode("latin-1").split("\r\n")
        words = line.split(" ", 2)
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        if 100 <= status < 200 and status != 101:
            raw = rest
            continue
        if head or status in (204, 304):
            body, raw, whole = b"", rest, bool(found)
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body, raw, whole = _chunks(rest)
        elif (length := headers.get("content-length", "")).isdigit():
            body, raw = rest[: int(length)], rest[int(length) :]
            whole = len(body) == int(length)
        else:
            body, raw, whole = rest, b"", True
        yield Answer(status, headers, body, whole)


def _chunks(rest: bytes) -> tuple[bytes, bytes, bool]:
    """The body, what follows it, and whether it was whole."""
    body = b""
    while True:
        size, found, rest = rest.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            return body, b"", False
        body += rest[:length]
        if length == 0:
            return body, rest[2:], bool(found)
        rest = rest[length + 2 :]
