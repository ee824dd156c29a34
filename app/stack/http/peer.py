"""A client's socket that never blocks: what the client does not take is kept, and sent by the poller later."""

import errno
import os
import select
import socket
import threading
import time
from collections import deque
from typing import Any

from stack.http.waiting import SLOW_READERS

FREE_OUTPUT = 256 * 1024  # bytes of an answer that every connection may have waiting, whatever the others have
SHARE = 4 * 1024 * 1024  # bytes at which an answer that comes in pieces waits for its client: there may be many to come
SMALL = 1024  # a piece that is smaller joins the one before it: what holds a piece takes two hundred bytes itself
FLUSH_PIECES = 8
TAKE_SECONDS = 10.0  # how long a thread waits for a client that does not take more than that
SEND_RATE = 16 * 1024  # bytes a second that a client must take in the long run


class Budget:
    """Bytes that the connections of one process hold in memory beyond what each of them may always hold."""

    def __init__(self, most: int):
        self.left, self.lock = most, threading.Lock()

    def take(self, size: int) -> bool:
        """Whether there was room for `size` bytes, which are held then; never waits."""
        with self.lock:
            if size > self.left:
                return False
            self.left -= size
            return True

    def give(self, size: int) -> None:
        """Release `size` bytes."""
        with self.lock:
            self.left += size


# Of the 512 MB that compose gives the web role's two processes. One each for what comes and for what goes: otherwise
# a few who download slowly would keep everybody from sending.
BUDGET = Budget(32 * 1024 * 1024)
ANSWERS = Budget(32 * 1024 * 1024)


class Peer(socket.socket):
    """A socket whose sendall and sendfile keep what the client does not take yet; the poller sends it later."""

    def __init__(self, accepted: socket.socket):
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        super().setblocking(False)
        self.out: deque[memoryview | list[int]] = deque()  # bytes, or [descriptor, offset, count] of a file
        self.waiting = self.taken = self.sent = 0
        self.begun, self.left = 0.0, TAKE_SECONDS

    def setblocking(self, _flag: bool) -> None:
        """Never: gunicorn's threads would wait in a read or a write for as long as the client likes."""

    def sendall(self, data: Any, _flags: int = 0) -> None:
        last = self.out[-1] if self.out else None
        if isinstance(last, memoryview) and len(last) < SMALL and len(data) < SMALL:
            self.out[-1] = memoryview(bytes(last) + data)
        else:
            self.out.append(memoryview(data))
        self.waiting += len(data)
        self.flush()
        if (beyond := self.waiting - FREE_OUTPUT - self.taken) <= 0:
            return
        if self.taken < SHARE and ANSWERS.take(beyond):
            self.taken += beyond
            return
        with SLOW_READERS.held() as may_wait:
            while self.waiting > FREE_OUTPUT + self.taken:
                asked, sent = time.monotonic(), self.sent
                if not may_wait or not self.ready(select.POLLOUT, asked + self.left):
                    self.forget()
                    raise BrokenPipeError(errno.EPIPE, "the client reads too slowly")
                self.flush()
                earned = (self.sent - sent) / SEND_RATE
                self.left = min(TAKE_SECONDS, self.left + earned - (time.monotonic() - asked))

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        self.out.append([os.dup(file.fileno()), offset, count or os.fstat(file.fileno()).st_size - offset])
        self.flush()
        return count or 0

    def flush(self) -> None:
        """Send what the client takes now, up to a few mebibytes, so that others have their turn."""
        try:
            for _ in range(FLUSH_PIECES):
                if not self.out:
                    break
                first = self.out[0]
                done = self._send_file(first) if isinstance(first, list) else self._send_bytes(first)
                self.sent += done
        except BlockingIOError:
            return
        if self.taken and not self.waiting:
            ANSWERS.give(self.taken)
            self.taken = 0

    def _send_file(self, part: list[int]) -> int:
        done = os.sendfile(self.fileno(), part[0], part[1], min(part[2], 1024 * 1024))
        if not done:  # the client would take the next answer for the rest of this one
            raise BrokenPipeError(errno.EPIPE, "the file is shorter than it was")
        part[1:] = part[1] + done, part[2] - done
        if not part[2]:
            os.close(part[0])
            self.out.popleft()
        return done

    def _send_bytes(self, part: memoryview) -> int:
        done = self.send(part)
        self.waiting -= done
        if done < len(part):
            self.out[0] = part[done:]
        else:
            self.out.popleft()
        return done

    def ready(self, event: int, end: float) -> bool:
        """Wait in a thread until the socket can be read or written; False where the time `end` comes first."""
        poll = select.poll()
        poll.register(self, event)
        return bool(poll.poll(max(0.0, end - time.monotonic()) * 1000))

    def forget(self) -> None:
        """Let go of what is not sent."""
        for part in self.out:
            if isinstance(part, list):
                os.close(part[0])
        self.out.clear()
        ANSWERS.give(self.taken)
        self.taken = self.waiting = 0

    def close(self) -> None:
        self.forget()
        super().close()
