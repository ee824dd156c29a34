"""gunicorn's ASGI worker, with the times and the stop that it lacks: docs/adr/20261130-asgi.md.

No client holds a thread here, whatever it does: what is slow costs a connection, and connections are counted.
"""

import asyncio
import json
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER

from stack.http.peer import SEND_RATE
from stack.http.poller import LINGER_BYTES, LINGER_SECONDS, SEND_SECONDS
from stack.http.server import HEAD_SECONDS

SWEEP_SECONDS = 0.5
RESTARTING = 1012  # of RFC 6455's registry: a client may connect again at once
# What the server refuses before an application sees it: code and message of the contract's errors.
REFUSED = {
    408: ("timeout", "The request came too slowly."),
    414: ("too_large", "The address is too long."),
    431: ("too_large", "The headers are too large."),
    501: ("bad_request", "Transfer-Encoding can only be chunked."),
}


class Connection(ASGIProtocol):
    """A client's connection, and since when it waits for what."""

    _closed: bool

    def __init__(self, worker: Any):
        super().__init__(worker)
        self.made = time.monotonic()
        self.begun = 0.0  # when the first byte of the next head came; 0 before
        self.full_since = 0.0  # since when the client takes less than it is sent; 0 where it takes all
        self.lingering = False
        self.dropped = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.worker.connections[self] = None
        if (sock := transport.get_extra_info("socket")) is not None and sock.family != socket.AF_UNIX:
            # A websocket whose client has vanished would be kept for ever.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_KEEPIDLE"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        if self.worker.nr_conns > self.worker.worker_connections:
            self.worker.shed()

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.connections.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.lingering:
            self.dropped += len(data)
            if self.dropped > LINGER_BYTES:
                self.transport.abort()
            return
        if not self.begun and self.is_waiting():
            self.begun = time.monotonic()
        super().data_received(data)

    def is_waiting(self) -> bool:
        """Whether it has no request under way: it is idle, or a head is arriving."""
        return self._websocket is None and self._request_ready is not None and not self._request_ready.is_set()

    # ---- answers and ends -----------------------------------------------------------------------

    def _send_error_response(self, status: int, message: str, extra_headers: Any = ()) -> None:
        """Answer with the contract's JSON. It does not repeat what came, which may hold a secret."""
        bad = (
            ("error", "The server failed; its log says why.") if status >= 500 else ("bad_request", "It is not valid.")
        )
        code, text = REFUSED.get(status, bad)
        if status < 500:
            self.log.warning("refused a request: %s", status)
        body = json.dumps({"error": {"code": code, "message": text}})
        more = "".join(f"{name}: {value}\r\n" for name, value in extra_headers)
        self._safe_write(
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nCache-Control: no-store\r\n{more}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        self.lingering = True

    def _close_transport(self) -> None:
        """Close; where the client still sends, read and drop that first, or the close would take its answer back."""
        body = self._body_receiver
        if self._closed or not (self.lingering or (body is not None and not body._complete)):
            super()._close_transport()
            return
        self._closed = self.lingering = True
        with suppress(OSError, RuntimeError):
            self._reading_paused = True
            self._resume_reading()
            self.transport.write_eof()
        self.worker.loop.call_later(LINGER_SECONDS, self.transport.close)

    # ---- time is up -----------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self.full_since = time.monotonic()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.full_since = 0.0

    def sweep(self, now: float) -> None:
        """End what takes too long."""
        waiting = self.transport.get_write_buffer_size()
        if waiting and not self.full_since:
            self.full_since = now  # less than gunicorn waits for, as at the end of an answer
        elif not waiting:
            self.full_since = 0.0
        if self.full_since and now > self.full_since + SEND_SECONDS + waiting / SEND_RATE:
            self.transport.abort()  # a close would wait until the client has taken all
        elif not self._closed and self.is_waiting():
            if self.begun and now > self.begun + HEAD_SECONDS:
                self._send_error_response(408, "")
                self.end()
            elif not self.begun and self.req_count <= 1 and now > self.made + HEAD_SECONDS:
                self.end()
        elif not self.is_waiting():
            self.begun = 0.0

    def end(self) -> None:
        """Close a connection that has no request under way."""
        self._close_transport()
        if self._request_ready is not None:
            self._request_ready.set()

    def stop(self, now: float) -> None:
        """The process stops: a request that may be on its way is waited for a moment, a websocket is closed."""
        since, chat = now - self.worker.stopping, self._websocket
        if chat is not None:
            if chat.accepted and not chat._close_sent:
                self.worker.loop.create_task(chat._send_close(RESTARTING, "restarting"))
            elif since > 2 * STOP_KEEPALIVE_LINGER:  # its client says nothing, and it would be waited for to the end
                self.transport.close()
        elif not self._closed and self.is_waiting() and since > STOP_KEEPALIVE_LINGER:
            self.end()


class Worker(gasgi.ASGIWorker):
    """Sweeps its connections, and ends those that would hold up a stop."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.connections: dict[Connection, None] = {}  # in the order in which they were made
        self.stopping = self.said = 0.0

    def init_process(self) -> None:
        gasgi.ASGIProtocol = Connection  # gunicorn has no setting for it
        super().init_process()

    async def _serve(self) -> None:
        sweeper = asyncio.create_task(self._sweep())
        try:
            await super()._serve()
        finally:
            sweeper.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            if not self.alive and not self.stopping:
                self.stopping = now
            for connection in list(self.connections):
                connection.sweep(now)
                if self.stopping:
                    connection.stop(now)

    def shed(self) -> None:
        """Make room: end the connection that has been idle, or arriving, for longest.

        Where all have a request or a websocket the new one is taken nevertheless: it may be a probe's.
        """
        for connection in self.connections:
            if not connection._closed and connection.is_waiting():
                connection.end()
                return
        if (now := time.monotonic()) > self.said + 60:
            self.said = now
            self.log.warning("more than %s connections are busy; raise WEB_WORKERS", self.worker_connections)
