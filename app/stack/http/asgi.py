"""What stands around a project's ASGI application: probes, who the client is, and the limits of bodies.

Whatever the application is made of (Django, Channels, a router of several), and whichever server runs it.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.http import HttpRequest

from stack.http.clients import CLIENTS
from stack.http.incoming import LARGEST, UPLOAD_RATE, Refusal, too_large
from stack.http.probes import PROBES
from stack.http.proxies import settle_scope
from stack.http.server import BODY_SECONDS, BUSY, CROWD, MAX_COLLECTED, PLACE_SECONDS, SLOW
from stack.http.waiting import UPLOADERS
from stack.runtime.networks import Network

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Of its own: a probe must not wait for a thread behind the project's views.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="probe")


class Around:
    """The ASGI application that the server runs.

    Args:
        app: the project's.
        trusted: the networks of the proxies that are believed (TRUSTED_PROXIES).
    """

    def __init__(self, app: App, trusted: list[Network]):
        self.app, self.trusted = app, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
            return
        if scope["type"] == "websocket":
            settle_scope(scope, self.trusted)
        await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if probe := PROBES.get(scope["path"]):
            answer = await asyncio.get_running_loop().run_in_executor(_threads, probe, HttpRequest())
            more = {name.lower().encode(): value.encode() for name, value in answer.items()}
            await _answer(send, scope, answer.status_code, answer.content, more)
            return
        headers = [(name.decode("latin-1").upper(), value.decode("latin-1")) for name, value in scope["headers"]]
        who = CLIENTS.enter((scope.get("client") or ("",))[0], headers)
        if who is None:
            await _refuse(send, scope, CROWD)
            return
        try:
            settle_scope(scope, self.trusted)
            await self._limited(scope, receive, send, dict(headers))
        finally:
            CLIENTS.leave(who)

    async def _limited(self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]) -> None:
        length = headers.get("CONTENT-LENGTH", "0")
        if length == "0" and "TRANSFER-ENCODING" not in headers:  # nearly always
            await self.app(scope, receive, send)
            return
        if length.isdecimal() and int(length) > LARGEST:
            await _refuse(send, scope, too_large(LARGEST))
            return
        body = Body(receive, send)
        try:
            await self.app(scope, body.receive, body.send)
        except Exception:
            if not body.refusal:  # it failed because its request ended
                raise
        finally:
            body.free()
        if body.refusal and not body.answered:
            await _refuse(send, scope, body.refusal)


class Body:
    """A request's body on its way to the application: how large it may be, and how long it may take.

    What is wrong with it looks to the application as if the client had left; the client hears why.
    """

    def __init__(self, receive: Receive, send: Send):
        self._receive, self._send = receive, send
        self.begun, self.size = time.monotonic(), 0
        self.done = self.place = self.answered = False
        self.refusal: Refusal | None = None

    async def receive(self) -> dict[str, Any]:
        if self.done:
            return await self._receive()
        if self.refusal:
            return {"type": "http.disconnect"}
        # As much time as the least rate of an upload gives to what has come.
        end = self.begun + BODY_SECONDS + self.size / UPLOAD_RATE
        try:
            message = await asyncio.wait_for(self._receive(), end - time.monotonic())
        except TimeoutError:
            return self._end(SLOW)
        if message["type"] != "http.request":
            return self._end(SLOW)  # the server's own limit for a piece, or the client has left and hears nothing
        self.size += len(message.get("body", b""))
        if self.size > LARGEST:
            return self._end(too_large(LARGEST))
        self.done = not message.get("more_body", False)
        if self.size > MAX_COLLECTED and not self.place and not await self._take_place():
            self.done = False
            return self._end(BUSY)
        return message

    async def _take_place(self) -> bool:
        """Large bodies are temporary files: so many at a time as there is room for."""
        end = time.monotonic() + PLACE_SECONDS
        while not UPLOADERS.take():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.1)
        self.place = True
        return True

    def _end(self, refusal: Refusal) -> dict[str, Any]:
        self.refusal = refusal
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.answered = True
        await self._send(message)

    def free(self) -> None:
        if self.place:
            UPLOADERS.free()
            self.place = False


async def _refuse(send: Send, scope: Scope, why: Refusal) -> None:
    body = json.dumps({"error": {"code": why.code, "message": why.message}}).encode()
    more = {b"retry-after": b"5"} if why.status in (429, 503) else {}
    await _answer(send, scope, why.status, body, more | {b"connection": b"close"})


async def _answer(send: Send, scope: Scope, status: int, body: bytes, headers: dict[bytes, bytes]) -> None:
    common = {b"content-type": b"application/json", b"content-length": str(len(body)).encode()}
    common[b"cache-control"] = b"no-store"
    await send({"type": "http.response.start", "status": status, "headers": list((common | headers).items())})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
