"""The poller of stack/http/server.py: what it does with a connection, step by step, and what it answers itself."""

import json
import selectors
import socket
import time
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from stack.http.incoming import Connection, Refusal
from stack.http.limits import MIB
from stack.http.peer import SEND_RATE

# For what is left of an answer when its thread is free: so many more seconds as it takes at the least rate.
SEND_SECONDS = 60.0
LINGER_SECONDS, LINGER_BYTES = 2.0, 8 * MIB  # read and dropped before a close, so that the client sees the answer

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
REFUSED = {
    LimitRequestLine: (414, "too_large", "The address is too long."),
    LimitRequestHeaders: (431, "too_large", "The headers are too large."),
    ExpectationFailed: (417, "bad_request", "Expect can only be 100-continue."),
    UnsupportedTransferCoding: (501, "bad_request", "Transfer-Encoding can only be chunked."),
}


class Poller(ThreadWorker):
    """gunicorn's ThreadWorker with a poller that reads and writes.

    Each of its connections has a step, which is done when the socket is ready, and a deadline. What cannot be done
    ends the connection, never the process.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # In the order in which their requests began; a connection is here, in a thread, or idle in keepalived_conns.
        self.arriving: dict[Connection, None] = {}
        self.swept = 0.0

    def expect(self, conn: Connection, seconds: float, late: Refusal | None) -> None:
        conn.deadline, conn.late = time.monotonic() + seconds, late

    def turn(self, conn: Connection, _sock: Any = None) -> None:
        """Do a connection's next step; what it cannot do ends this connection, never the process."""
        if conn not in self.arriving:  # it was ended, to make room, after the poller had seen it ready
            return
        try:
            conn.step(conn)
        except (OSError, StopIteration):
            self.drop(conn)
        except Exception as problem:
            self.refuse(conn, problem)

    def watch(self, conn: Connection, events: int) -> None:
        """Do the step again when the socket is ready; with no events, at the next sweep."""
        if events == conn.events:
            return
        if not conn.events:
            self.poller.register(conn.sock, events, partial(self.turn, conn))
        elif events:
            self.poller.modify(conn.sock, events, partial(self.turn, conn))
        else:
            self.poller.unregister(conn.sock)
        conn.events = events

    def after(self, conn: Connection) -> None:
        """Send what is left of the answer, then wait for the next request or close."""
        self.arriving[conn] = None
        conn.sock.begun, conn.sock.sent = time.monotonic(), 0
        conn.step = self.send_rest
        self.turn(conn)

    def send_rest(self, conn: Connection) -> None:
        conn.sock.flush()
        conn.deadline, conn.late = conn.sock.begun + SEND_SECONDS + conn.sock.sent / SEND_RATE, None
        if conn.sock.out:
            return self.watch(conn, WRITE)
        if not conn.keep:
            conn.sock.shutdown(socket.SHUT_WR)
            self.expect(conn, LINGER_SECONDS, None)
            conn.step = self.discard
            return self.discard(conn)
        if conn.data:
            return self.begin(conn)
        self.watch(conn, 0)
        del self.arriving[conn]
        return self.idle(conn)

    def idle(self, conn: Connection) -> None:
        """Wait for the next request on a connection that is kept."""
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, READ, partial(self.on_client_socket_readable, conn))

    def discard(self, conn: Connection) -> None:
        """Read what the client still sends: a close with unread bytes would take the answer back from it."""
        for _ in range(16):
            try:
                data = conn.sock.recv(65536)
            except BlockingIOError:
                break
            conn.dropped += len(data)
            if not data or conn.dropped > LINGER_BYTES:
                return self.drop(conn)
        self.watch(conn, READ)

    def refuse(self, conn: Connection, problem: Exception) -> None:
        conn.release()
        conn.data = bytearray()
        conn.keep = False
        try:
            self.handle_error(None, conn.sock, conn.client, problem)
        except OSError:
            return self.drop(conn)
        self.after(conn)

    def drop(self, conn: Connection) -> None:
        self.watch(conn, 0)
        self.arriving.pop(conn, None)
        conn.release()
        self.nr_conns -= 1
        conn.close()

    # ---- time is up -----------------------------------------------------------------------------

    def murder_pending(self) -> None:
        """End what takes too long; gunicorn's loop calls this after each turn."""
        now = time.monotonic()
        if now - self.swept < 0.5:
            return
        self.swept = now
        for conn in [conn for conn in self.arriving if conn.deadline < now]:
            # Who has said nothing hears nothing, and at a stop nobody waits for the end of a head.
            if conn.late and (conn.step != self.read_head or (conn.data and self.alive)):
                self.refuse(conn, conn.late)
            else:
                self.drop(conn)
        self.retry()

    def retry(self) -> None:
        """Go on with those who wait for memory or for a place."""
        for conn in [conn for conn in self.arriving if not conn.events]:
            self.turn(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        """At a stop, a request of which nothing or little has come is not waited for."""
        super()._cap_keepalive(deadline)
        for conn in self.arriving:
            if conn.step == self.read_head:
                conn.deadline = min(conn.deadline, deadline)

    # ---- the server's own answers ---------------------------------------------------------------

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer with the contract's JSON. Neither it nor the log repeats what came: it may hold a secret."""
        if isinstance(exc, Refusal):
            status, code, message = exc.status, exc.code, exc.message
        elif isinstance(exc, ParseException) and not isinstance(exc, InvalidResponseHeader | InvalidResponseHeaderName):
            status, code, message = REFUSED.get(type(exc), (400, "bad_request", "The request is not valid HTTP."))
        else:
            status, code, message = 500, "error", "The server failed; its log says why."
            self.log.exception("error handling a request: %s %s", getattr(req, "method", ""), getattr(req, "path", ""))
        if status < 500 or isinstance(exc, Refusal):
            self.log.warning("refused a request of %s: %s %s", addr[0], status, type(exc).__name__)
        body = json.dumps({"error": {"code": code, "message": message}})
        retry = "Retry-After: 5\r\n" if status in (429, 503) else ""
        client.sendall(
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nCache-Control: no-store\r\n{retry}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
