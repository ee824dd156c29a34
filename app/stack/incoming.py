"""What has arrived of a request: the parser's source, the body's end, and what is refused before Django sees it."""

import errno
import io
import select
import socket
import tempfile
import time
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import InvalidChunkSize, NoMoreData
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import Unreader
from gunicorn.workers.gthread import TConn

from stack.clients import CLIENTS
from stack.env import environment, get
from stack.peer import BUDGET, Peer
from stack.waiting import UPLOADERS

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NO_ROOM = "There is no room for this body now. Try again later."
MEBIBYTE = 1024 * 1024
# The API's own limit of an upload is beside MAX_UPLOAD, and may be the larger one; the middlewares know which counts.
LARGEST = max(get("MAX_UPLOAD", environment()) * MEBIBYTE, 5 * MEBIBYTE + 64 * 1024)
FREE_BUFFER = 64 * 1024  # bytes that every connection may hold of a body, whatever the others hold
LINE = 8192  # bytes of a chunk's first line, or of what follows the last chunk
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
        self.sock, self.open, self.left = sock, False, 0.0

    def begin(self) -> None:
        """From now on read from the socket, too."""
        self.open, self.left = True, UPLOAD_PAUSE

    def chunk(self, size_hint: int | None = None) -> bytes:
        if not self.open:
            return b""
        while True:
            # Only the time that is spent here counts: a view that is slow itself does not end its upload.
            asked = time.monotonic()
            if not self.sock.ready(select.POLLIN, asked + self.left):
                raise TimeoutError(errno.ETIMEDOUT, "the body comes too slowly")
            self.left -= time.monotonic() - asked
            try:
                data = self.sock.recv(min(size_hint or 65536, 1024 * 1024))
            except BlockingIOError:
                continue
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "the client left in the middle of its body")
            self.left = min(UPLOAD_PAUSE, self.left + len(data) / UPLOAD_RATE)
            return data


class Requests(RequestParser):
    """gunicorn's parser, for heads that are complete, and for bodies whose length Django knows."""

    def __init__(self, cfg: Any, sock: Peer, client: Any):
        super().__init__(cfg, [], client)
        self.unreader = Source(sock)
        self.parsed: Any = None

    def parse(self, data: bytes) -> Any:
        """The request whose head `data` begins with; the rest stays in the unreader."""
        self.unreader.open = False
        self.unreader.buf = io.BytesIO(data)
        self.parsed = super().__next__()
        return self.parsed

    def __next__(self) -> Any:
        request, self.parsed = self.parsed, None
        if isinstance(request.body.reader, ChunkedReader):
            self._measure(request)
        return request

    def _measure(self, request: Any) -> None:
        """Django reads no body without a Content-Length: take the chunks together, and say how long they are."""
        body: Any = tempfile.SpooledTemporaryFile(MEBIBYTE)  # noqa: SIM115 (gone with the request)
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
            raise Refusal(507, "disk_full", NO_ROOM) from None
        body.seek(0)
        request.headers = [item for item in request.headers if item[0] != "TRANSFER-ENCODING"]
        request.headers.append(("CONTENT-LENGTH", str(length)))
        request.body = body


def too_large(limit: int) -> Refusal:
    return Refusal(413, "too_large", f"The body may hold at most {limit // MEBIBYTE} MiB (MAX_UPLOAD).")


class Chunks:
    """Finds the end of a chunked body; whether it is well formed is for gunicorn's reader to say."""

    def __init__(self) -> None:
        self.at, self.last = 0, False

    def ended(self, data: bytearray) -> bool:
        """Whether `data`, which only grows between two calls, holds all of the body, or what cannot be one."""
        while self.at <= len(data):
            # Each chunk but the last ends with an empty line of its own.
            if self.at and not self.last and data[self.at - 2 : self.at] != b"\r\n":
                return True
            end = data.find(b"\r\n", self.at)
            if self.last:
                return end == self.at or data.find(b"\r\n\r\n", self.at) >= 0 or len(data) - self.at > LINE
            if end < 0:
                return len(data) - self.at > LINE
            try:
                size = int(data[self.at : end].partition(b";")[0], 16)
            except ValueError:
                return True
            if size < 0:
                return True
            self.last = not size
            self.at = end + 2 + (size + 2 if size else 0)
        return False


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
        """Give back what was held for the request."""
        if self.held:
            BUDGET.give(self.held)
            self.held = 0
        if self.place:
            UPLOADERS.free()
            self.place = False
        CLIENTS.leave(self.sender)
        self.sender = ""
