"""A websocket through the end of TLS: it may be silent for longer than a request."""

import socket
import socketserver
import ssl
import threading
import time
from pathlib import Path

import pytest

from tests.roles.conftest import free_port
from tests.tls import missing, tls_end

UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
# The pair of RFC 6455, section 1.3.
ASKED = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
GRANTED = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"


class Echo(socketserver.StreamRequestHandler):
    """Answers a request with 200, or switches protocols and says everything again."""

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (line := self.rfile.readline()):
                return
            head += line
        if b"upgrade: websocket" not in head.lower():
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE + GRANTED + b"\r\n")
        while said := self.connection.recv(100):
            self.wfile.write(said)


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_websocket_outlives_a_silence_that_ends_a_request(tmp_path: Path) -> None:
    https = free_port()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with tls_end(tmp_path, f"127.0.0.1:{server.server_address[1]}", https, free_port(), idle="1s"):
            context = ssl.create_default_context(cafile=str(tmp_path / "site.crt"))
            with (
                socket.create_connection(("127.0.0.1", https), 20) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                connection.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n" + UPGRADE + ASKED + b"\r\n")
                assert connection.recv(1000).startswith(b"HTTP/1.1 101 ")
                time.sleep(2.5)  # the silence itself
                connection.sendall(b"still there?")
                assert connection.recv(100) == b"still there?"
        server.shutdown()
