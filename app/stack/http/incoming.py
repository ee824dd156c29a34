"""What has arrived of a request: the parser's source, and what is refused before Django sees it."""

import errno
import io
import select
import socket
import tempfile
import time
from typing import Any

from gunicorn.http.body import Body, ChunkedReader
from gunicorn.http.errors import InvalidChunkSize, NoMoreData
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import Unreader
from gunicorn.workers.gthread import TConn

from stack.http.chunks import Chunks
from stack.http.clients import CLIENTS
from stack.http.limits import DISK_FULL, LARGEST, MIB, NO_ROOM
from stack.http.peer import BUDGET, Peer
from stack.http.waiting import UPLOADERS

FREE_BUFFER = 64 * 1024  # bytes that every connection may hold of a body, whatever the others hold
# Bytes that the parser gets where it does not say how many it needs: between two chunks it copies all that it has.
PIECE = 2048
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UPLOAD_PAUSE = 10.0  # seconds that an upload may lag behind UPLOAD_RATE: a line that hiccups, no more
UPLOAD_RATE = 32 * 1024  # bytes a second; with the line above it bounds the whole time of an upload


class Refusal(Exception):
    """What the server answers itself, before Django sees the request."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Source(Unreader):
    """What the parser reads: what the poller collected, and for an upload what still comes, at its least rate."""

    def __init__(self, sock: Peer):
        super().__init__()
        self.sock, self.collected = sock, io.BytesIO()
        self.open, self.left, self.most = False, 0.0, 0

    def keep(self, data: bytes | bytearray) -> None:
        """Have this read before anything else."""
        self.collected = io.BytesIO(data)

    def begin(self) -> None:
        """From now on read from the socket, too."""
        # What frames the chunks is counted as well: it may be larger than they are.
        self.open, self.left, self.most = True, UPLOAD_PAUSE, 2 * LARGEST

    def take_buffered(self) -> bytes:
        rest: bytes = super().take_buffered() + self.collected.read()
        self.keep(b"")
        return rest

    def chunk(self, size_hint: int | None = None) -> bytes:
        if piece := self.collected.read(max(size_hint or 0, PIECE)):
            return piece
        if not self.open:
            return b""
        while True:
            # Only the time that is spent here counts: a view that is slow itself does not end its upload.
            asked = time.monotonic()
            if not self.sock.ready(select.POLLIN, asked + self.left):
                raise TimeoutError(errno.ETIMEDOUT, "the body comes too slowly")
            self.left -= time.monotonic() - asked
            try:
                data = self.sock.recv(min(max(size_hint or 0, PIECE), MIB))
            except BlockingIOError:
                continue
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "the client left in the middle of its body")
            self.left = min(UPLOAD_PAUSE, self.left + len(data) / UPLOAD_RATE)
            self.most -= len(data)
            if self.most < 0:
                raise too_large(LARGEST)
            return data


class Requests(RequestParser):
    """gunicorn's parser, for heads that are complete, and for bodies whose length Django knows."""

    def __init__(self, cfg: Any, sock: Peer, client: Any):
        super().__init__(cfg, [], client)
        self.unreader = Source(sock)
        self.parsed: Any = None

    def parse(self, data: bytes) -> Any:
        """The request whose head is `data`."""
        self.unreader.open = False
        self.unreader.buf = io.BytesIO(data)
        self.parsed = super().__next__()
        return self.parsed

    def __next__(self) -> Any:
        request, self.parsed = self.parsed, None
        if isinstance(request.body.reader, ChunkedReader):
            self._measure(request)
        return request

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool:
        """Skip what the view did not read. All of it is here: after an upload the connection ends."""
        body = getattr(self.mesg, "body", None)
        if isinstance(body, Body):
            if body.failed:
                return False
            while body.read(MIB):
                pass
        return True

    def _measure(self, request: Any) -> None:
        """Django reads no body without a Content-Length: take the chunks together, and say how long they are."""
        body: Any = tempfile.SpooledTemporaryFile(MIB)  # noqa: SIM115 (gone with the request)
        length = 0
        try:
            while piece := request.body.read(65536):
                length += len(piece)
                if length > LARGEST:
                    raise too_large(LARGEST)
                body.write(piece)
        except NoMoreData:
            raise InvalidChunkSize(b"") from None
        except TimeoutError:
            raise Refusal(408, "timeout", "The body came too slowly.") from None
        except OSError as problem:
            if problem.errno not in DISK_FULL:
                raise
            raise Refusal(*NO_ROOM) from None
        body.seek(0)
        request.headers = [item for item in request.headers if item[0] != "TRANSFER-ENCODING"]
        request.headers.append(("CONTENT-LENGTH", str(length)))
        request.body = body


def too_large(limit: int) -> Refusal:
    """What a client hears whose body has more than `limit` bytes."""
    return Refusal(413, "too_large", f"The body may hold at most {limit // MIB} MiB (MAX_UPLOAD).")


class Connection(TConn):
    """A client's connection, and how far its request has come."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any):
        self.peer = Peer(sock)
        super().__init__(cfg, self.peer, client, server)
        self.initialized = self.data_ready = True
        self.parser = Requests(cfg, self.peer, client)
        self.data = bytearray()
        self.step: Any = None  # what the poller does when the socket is ready
        self.events = 0
        self.deadline = 0.0
        self.late: Refusal | None = None  # what a client hears whose time is up
        self.length: int | None = 0  # of the body; None where it comes in chunks
        self.chunks = Chunks()
        self.held = self.dropped = 0
        self.place = self.keep = False
        self.sender = ""  # whose request it is, while that is counted

    def hold(self) -> bool:
        """Whether the body's bytes so far may stay in memory."""
        beyond = len(self.data) - FREE_BUFFER - self.held
        if beyond > 0 and not BUDGET.take(beyond):
            return False
        self.held += max(0, beyond)
        return True

    def release(self) -> None:
        """Return what was held for the request."""
        if self.held:
            BUDGET.give(self.held)
            self.held = 0
        if self.place:
            UPLOADERS.free()
            self.place = False
        if self.parser.mesg:
            self.parser.mesg.body = None  # the next request may be long in coming
        CLIENTS.leave(self.sender)
        self.sender = ""
