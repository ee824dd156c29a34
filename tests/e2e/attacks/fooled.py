"""The negative control: a server that believes whatever it is told, and shows what each table finds on such a one."""

import json
import re
import socketserver
import unicodedata
from threading import Thread
from typing import Self
from urllib.parse import unquote

from tests.e2e.attacks import frames
from tests.e2e.attacks.oracle import World
from tests.e2e.attacks.wire import Front
from tests.machine import patience

# How it finds the end of a body: by its own idea of chunks, by the first or the last length, or not at all.
MINDS = ("chunks", "first", "last", "none")
BELIEVED = re.compile(
    r"^(script.name|http_script_name|remote.user|x-forwarded-\w+|x-http-method\S*|origin|referer|x-ssl\S*):",
    re.I | re.M,
)
ELSEWHERE = re.compile(r"^(?:x-original-ur[li]|x-rewrite-url|x-forwarded-path|path.info): *(\S+)", re.I | re.M)


class Fooled(socketserver.ThreadingTCPServer):
    """Answers each connection once, as one whole message, and acts on every request that `mind` finds in it."""

    daemon_threads = allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, world: World, mind: str = "first", guarded: bool = True):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.world, self.mind, self.guarded = world, mind, guarded
        self.lines: list[str] = []
        self.front = Front("fooled", "127.0.0.1", int(self.server_address[1]))
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def log(self) -> str:
        return "\n".join(self.lines)

    def answer(self, method: str, target: str, head: str) -> tuple[int, dict[str, object]]:
        """It asks whether a call is one before it has read the address, and reads more than is there."""
        plain = target in (f"/api/tasks/{self.world.task_id}", "/api/tasks/fail") or "?" in target
        if self.guarded and plain and not BELIEVED.search(head) and not self._knows(head):
            return 401, {"error": {"code": "unauthorized", "message": "no"}}
        elsewhere = ELSEWHERE.search(head)
        if not re.search(r"api/(tasks|canvas|schedules)", self._read(elsewhere[1] if elsewhere else target)):
            return 200, {"page": True}
        if method in ("POST", "PUT"):
            return 202, {"id": "1", "url": "/api/tasks/1"}
        return 200, {"result": self.world.secret}

    def _knows(self, head: str) -> bool:
        """Whether the token is anywhere, or what looks like one."""
        return "authorization" in head.lower() or self.world.token in unquote(head)

    @staticmethod
    def _read(target: str) -> str:
        text = target.encode("latin-1")
        for long, short in ((b"%c0%af", b"/"), (b"%c0%ae", b".")):
            text = text.replace(long, short)
        path = unquote(unquote(text.decode("utf-8", "replace")))
        path = re.sub(r"[\x00-\x20]|;[^/]*", "", unicodedata.normalize("NFKC", path).lower().replace("\\", "/"))
        return (
            re.sub(r"/+(\./+)*", "/", path)
            .replace("api./", "api/")
            .replace("docs/../", "")
            .replace("openapi.json/../", "")
        )

    def requests(self, raw: bytes) -> list[tuple[str, str, str]]:
        """Method, target and head of each request that it takes `raw` for."""
        found = []
        while raw := raw.lstrip(b"\r\n"):
            end = re.search(rb"\r?\n\r?\n|\r\r", raw)
            top, raw = (raw[: end.start()], raw[end.end() :]) if end else (raw, b"")
            head = top.decode("latin-1")
            line = re.match(r"(\S+)[ \t]+(.*?)(?: HTTP/\S+)?\s*(?:[\r\n]|$)", head)
            found.append((*((line[1], line[2]) if line else ("", head[:100])), head))
            lengths = re.findall(rb"content.length\D*(\d+)", top, re.I)
            if self.mind == "chunks" and re.search(rb"transfer.encoding.*chunk", top, re.I | re.S):
                raw = self._after_chunks(raw)
            elif self.mind != "none" and lengths:
                raw = raw[int(lengths[-1 if self.mind == "last" else 0]) :]
        return found

    @staticmethod
    def _after_chunks(raw: bytes) -> bytes:
        """What follows the chunk that it takes for the last one: any without a size is."""
        while raw:
            line = re.match(rb"[^\n]*\n", raw)
            size = re.match(rb"\s*([1-9a-f][0-9a-f]*)\r", raw, re.I)
            raw = raw[line.end() :] if line else b""
            if not size:
                break
            raw = raw[int(size[1], 16) :].lstrip(b"\r\n")
        return raw


class _Handler(socketserver.BaseRequestHandler):
    server: Fooled

    def handle(self) -> None:
        raw = b""
        self.request.settimeout(patience(5))
        try:
            while piece := self.request.recv(262144):
                raw += piece
                self.request.settimeout(patience(0.03))
        except OSError:  # silent, or gone
            pass
        if raw.startswith(frames.PREFACE):
            raw = downgraded(raw)
        found = self.server.requests(raw)
        for method, target, head in found:
            self.server.lines.append(json.dumps({"event": "request_started", "request": f"{method} {target}"}))
            self.server.lines.append(f"{method} {unquote(target)} {head}")
        status, body = self.server.answer(*found[0]) if found else (200, {})
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        try:
            self.request.sendall(head.encode() + b"Connection: close\r\n\r\n" + (b"" if raw[:5] == b"HEAD " else text))
        except OSError:
            pass


def downgraded(raw: bytes) -> bytes:
    """A request of HTTP/2 as HTTP/1.1, its parts put together as they came."""
    pseudo, lines, body = {}, [], b""
    for kind, _, _, payload in frames.frames(raw[len(frames.PREFACE) :]):
        if kind == frames.DATA:
            body += payload
        if kind == frames.HEADERS:
            for name, value in frames.fields_of(payload):
                if name.startswith(":"):
                    pseudo[name] = value
                else:
                    lines.append(f"{name}: {value}")
    start = pseudo[":path"] if pseudo[":scheme"] in ("http", "https") else pseudo[":scheme"] + pseudo[":path"]
    top = [f"{pseudo[':method']} {start} HTTP/1.1", f"Host: {pseudo[':authority']}", *lines]
    return "\r\n".join(top).encode("latin-1") + b"\r\n\r\n" + body
