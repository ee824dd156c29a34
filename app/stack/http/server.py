"""gunicorn's threaded worker, made so that no client holds a thread by being slow.

The poller, which is the process's main thread, collects a request until it is complete, within a total time; only
then a thread takes it. What is too large to be collected is read in a thread, in few of them at a time, at a least
rate. An answer that the client does not take is sent on by the poller, when the thread is free again.
"""

import errno
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import (
    InvalidRequestLine,
    LimitRequestHeaders,
    LimitRequestLine,
    UnsupportedTransferCoding,
)

from stack.http.chunks import Chunks
from stack.http.clients import CLIENTS
from stack.http.incoming import CONTINUE, FREE_BUFFER, Connection, Refusal, too_large
from stack.http.limits import LARGEST, MIB
from stack.http.poller import READ, Poller
from stack.http.waiting import UPLOADERS

MAX_HEAD = 32 * 1024  # bytes of a request line and its headers: cookies and tokens of a whole company fit
MAX_COLLECTED = MIB + 64 * 1024  # the body of any call of the API but an upload
HEAD_SECONDS = 10.0  # from the first byte to the last of a head, or from the connection to its first byte
BODY_SECONDS = 30.0  # the same for a body that is collected
PLACE_SECONDS = 10.0  # how long an upload waits for others to end

SLOW = Refusal(408, "timeout", "The request came too slowly.")
FULL = Refusal(503, "busy", "Too many large bodies at a time; nothing was done. Try again in 5 s.")
CROWD = Refusal(429, "too_many_requests", "Your address has too many requests under way. Try again in 5 s.")
BUSY = Refusal(503, "busy", "Too many uploads at a time; nothing was done. Try again in 5 s.")


class Worker(Poller):
    """Collects requests in the poller, and gives a thread those that are complete."""

    # ---- a request arrives ----------------------------------------------------------------------

    def accept(self, listener: Any) -> None:
        try:
            accepted, client = listener.accept()
        except OSError as problem:
            if problem.errno in (errno.EMFILE, errno.ENFILE):
                self.shed()
            elif problem.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self.shed()
        self.begin(Connection(self.cfg, accepted, client, listener.getsockname()))

    def shed(self) -> None:
        """Make room: end the connection that has been idle, or arriving, for longest."""
        if self.keepalived_conns:
            oldest = self.keepalived_conns.popleft()
            self.poller.unregister(oldest.sock)
            self.drop(oldest)
        elif self.arriving:
            self.drop(next(iter(self.arriving)))

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        try:
            self.keepalived_conns.remove(conn)
        except ValueError:  # it was ended, to make room, after the poller had seen it readable
            return
        self.poller.unregister(client)
        self.begin(conn)

    def begin(self, conn: Connection) -> None:
        """The next request of a connection; conn.data may have some of it."""
        self.arriving[conn] = None
        self.expect(conn, HEAD_SECONDS, SLOW)
        conn.step = self.read_head
        self.turn(conn)

    def receive(self, conn: Connection, most: int) -> bool:
        """Read once; False where nothing is there yet.

        Raises:
            ConnectionResetError: the client has left.
        """
        try:
            data = conn.sock.recv(most)
        except BlockingIOError:
            self.watch(conn, READ)
            return False
        if not data:
            raise ConnectionResetError
        conn.data += data
        return True

    def read_head(self, conn: Connection) -> None:
        while (end := conn.data.find(b"\r\n\r\n")) < 0:
            # gunicorn's parser refuses both, and would wait for more of any other head that has no end.
            if conn.data.count(b"\n") != conn.data.count(b"\r\n"):
                break
            if len(conn.data) > MAX_HEAD:
                raise LimitRequestHeaders("the head") if b"\r\n" in conn.data else LimitRequestLine(MAX_HEAD, MAX_HEAD)
            if not self.receive(conn, 65536):
                return None
        if end > MAX_HEAD:
            raise LimitRequestHeaders("the head")
        size = end + 4 if end >= 0 else len(conn.data)
        request = conn.parser.parse(bytes(conn.data[:size]))
        if "#" in request.uri:
            raise InvalidRequestLine("a fragment")
        # gunicorn would hand on what is compressed as if it were not.
        if any(name == "TRANSFER-ENCODING" and value.lower() != "chunked" for name, value in request.headers):
            raise UnsupportedTransferCoding("not chunked")
        sender = CLIENTS.enter(conn.client[0], request.headers)
        if sender is None:
            raise CROWD
        conn.sender = sender
        conn.data[:size] = conn.parser.unreader.take_buffered()
        reader = request.body.reader
        conn.length = None if isinstance(reader, ChunkedReader) else reader.length
        if conn.length == 0:
            return self.dispatch(conn)
        if conn.length and conn.length > LARGEST:
            raise too_large(LARGEST)
        if request._expected_100_continue:
            request._expected_100_continue = False
            if not conn.data:
                conn.sock.sendall(CONTINUE)
        conn.chunks = Chunks()
        self.expect(conn, BODY_SECONDS, SLOW)
        conn.step = self.read_body
        return self.read_body(conn)

    def read_body(self, conn: Connection) -> None:
        while not self.complete(conn):
            # Of an upload a little, too: a thread is not for who announces much and sends nothing.
            if len(conn.data) >= (FREE_BUFFER if (conn.length or 0) > MAX_COLLECTED else MAX_COLLECTED):
                self.expect(conn, PLACE_SECONDS, BUSY)
                conn.step = self.upload
                return self.upload(conn)
            if not conn.hold():
                conn.late = FULL
                return self.watch(conn, 0)
            conn.late = SLOW
            if not self.receive(conn, 256 * 1024 if conn.length is None else conn.length - len(conn.data)):
                return None
        return self.dispatch(conn)

    def complete(self, conn: Connection) -> bool:
        return conn.chunks.ended(conn.data) if conn.length is None else len(conn.data) >= conn.length

    def upload(self, conn: Connection) -> None:
        """A thread reads the rest, once there is a place for it."""
        if not UPLOADERS.take():
            return self.watch(conn, 0)
        conn.place = True
        conn.parser.parsed.force_close()
        conn.parser.unreader.begin()
        self.dispatch(conn)

    def dispatch(self, conn: Connection) -> None:
        self.watch(conn, 0)
        del self.arriving[conn]
        if conn.data:
            conn.parser.unreader.keep(conn.data)
            conn.data = bytearray()
        self.enqueue_req(conn)

    # ---- it was answered ------------------------------------------------------------------------

    def finish_request(self, conn: Connection, fs: Any) -> None:
        had_place = conn.place
        conn.release()
        conn.keep = not fs.cancelled() and not fs.exception() and bool(fs.result())
        rest = conn.parser.unreader.take_buffered()
        conn.data = bytearray(rest if conn.keep else b"")
        if conn.keep and not conn.sock.out and not conn.data:
            self.idle(conn)  # nearly always
        else:
            self.after(conn)
        if had_place:
            self.retry()
