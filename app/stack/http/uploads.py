"""Bodies: one limit for all that is not the API's, and 4xx or 507 for what ends an upload, in any view.

server.py refuses the largest before Django sees them; here is what depends on the address, and what holds for
Django's own server, too.
"""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.exceptions import BadRequest
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import UnreadablePostError
from django.views import View

from stack.http.errors import error
from stack.http.limits import DISK_FULL, MAX_UPLOAD, MIB, NO_ROOM

logger = logging.getLogger(__name__)


class Ended(BadRequest):
    """An upload that cannot go on. Django answers 400 and logs no traceback, wherever the body was read."""

    def __init__(self, request: Any, status: int, code: str, message: str):
        super().__init__(message)
        if request is not None:
            request.ended = (status, code, message)


class Body(io.IOBase):
    """A request's stream that says why it ends; Django's own error for it is a 500 with a traceback."""

    def __init__(self, request: Any):
        self.request, self.stream = request, request._stream

    def _read(self, name: str, *size: Any) -> bytes:
        try:
            data: bytes = getattr(self.stream, name)(*size)
        except TimeoutError:
            raise Ended(self.request, 408, "timeout", "The body came too slowly.") from None
        except OSError:
            # 499 is what nginx calls it; nobody is there to read it.
            raise Ended(self.request, 499, "client_left", "The client left in the middle of its body.") from None
        return data

    def read(self, *size: Any) -> bytes:
        return self._read("read", *size)

    def readline(self, *size: Any) -> bytes:
        return self._read("readline", *size)


class TemporaryFile(TemporaryFileUploadHandler):
    """Django's handler of large files, for a temporary folder that can be full."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        with self._room():
            super().new_file(*args, **kwargs)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        with self._room():
            super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> Any:
        with self._room():
            return super().file_complete(file_size)

    def upload_interrupted(self) -> None:
        with self._room():
            super().upload_interrupted()

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            if problem.errno not in DISK_FULL:
                raise
            if hasattr(self, "file"):
                # Closing it would write what is left, and fail again; the file goes nevertheless.
                with suppress(OSError):
                    self.file.close()
            raise Ended(self.request, *NO_ROOM) from None


class Uploads:
    """Refuses a body that is too large, or that no view wants, before anything reads it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request._stream = Body(request)
        response = self.get_response(request)
        ended = getattr(request, "ended", None)
        if response.status_code >= 400:
            # Django leaves a file whose upload was cut off to the garbage collector.
            for handler in request._upload_handlers:
                with suppress(Ended):
                    handler.upload_interrupted()
        if ended and response.status_code == 400:
            if ended[0] == 507:
                logger.error("no room for an upload in the temporary folder")
            return answer(request, *ended)
        return response

    def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        length = request.META.get("CONTENT_LENGTH") or "0"
        # The stack's API has limits of its own (stack/http/guard.py), and says itself which methods an address takes.
        if hasattr(view, "guard"):
            return None
        if length.isdecimal() and int(length) > MAX_UPLOAD:
            text = f"The body may hold at most {MAX_UPLOAD // MIB} MiB (MAX_UPLOAD)."
            return answer(request, 413, "too_large", text)
        # The check of the CSRF token reads the body, before the view could say that it takes none.
        allowed = methods(view)
        if allowed and request.method not in allowed:
            return HttpResponseNotAllowed(sorted(allowed))
        return None

    def process_exception(self, request: Any, problem: Exception) -> HttpResponse | None:
        if isinstance(problem, UnreadablePostError):
            return answer(request, 400, "client_left", "The client left in the middle of its body.")
        if isinstance(problem, OSError) and problem.errno in DISK_FULL:
            logger.error("no room on the disk: %s", request.path, exc_info=problem)
            return answer(request, *NO_ROOM)
        return None


def answer(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    """An error in the shape of the API's below the API, and as a plain text at a project's own addresses."""
    if request.resolver_match and hasattr(request.resolver_match.func, "guard"):
        return error(status, code, message)
    return HttpResponse(message, status=status, content_type="text/plain; charset=utf-8")


def methods(view: Any) -> set[str]:
    """The methods that a view says it takes, by its class or by Django's decorators; nothing where it does not say."""
    while view is not None:
        wrapped = getattr(view, "__wrapped__", None)
        if wrapped and not getattr(view, "__globals__", {}).get("__name__", "").startswith("django."):
            return set()  # a project's decorator may take what the view does not
        if known := getattr(view, "view_class", None):
            own = (known.dispatch, known.http_method_not_allowed)
            if own != (View.dispatch, View.http_method_not_allowed):
                return set()  # what a class does with methods by itself is its own matter
            names = {name.upper() for name in known.http_method_names if hasattr(known, name)}
            return names | ({"HEAD"} if "GET" in names else set())
        # django.views.decorators.http.require_http_methods keeps them in its closure only.
        code = getattr(view, "__code__", None)
        if code and "request_method_list" in code.co_freevars:
            cell = view.__closure__[code.co_freevars.index("request_method_list")]
            return set(cell.cell_contents)
        view = wrapped
    return set()
