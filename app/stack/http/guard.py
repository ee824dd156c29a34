"""What every call of the API must satisfy before its view sees it: token, origin, size and media type.

It never looks at the address: stack/http/guarded.py lays it around each view of the API, wherever a project mounts it.

A refused guess is one line of the log, at most one a second for an address, for tools as fail2ban. Its form is kept:
with LOG_FORMAT=json   {"ip": "192.0.2.7", "wait": 0, "event": "wrong API token", "logger": "stack.http.guard", ...}
with LOG_FORMAT=console   2026-11-30T12:00:00Z [warning  ] wrong API token [stack.http.guard] ip=192.0.2.7 ... wait=0
"""

import secrets
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError

from stack.http import origins
from stack.http.errors import error
from stack.http.limits import FORM_OVERHEAD, MAX_BODY, MIB
from stack.runtime.guesses import Guesses

READS = ("GET", "HEAD", "OPTIONS")
MULTIPART = "multipart/form-data"
# What Django raises for a request that is the caller's fault.
FAULTS = (Http404, PermissionDenied, BadRequest, SuspiciousOperation, MultiPartParserError, UnreadablePostError)

logger = structlog.get_logger(__name__)


class Takes(NamedTuple):
    """The body that a call takes.

    Attributes:
        limit: its bytes at most; of a form, those of what is in it.
        kinds: the media types it may have, the one that an error names first.
    """

    limit: int = MAX_BODY
    kinds: tuple[str, ...] = ("application/json",)

    @property
    def is_form(self) -> bool:
        return MULTIPART in self.kinds


class Guard:
    """Refuses what must not reach a view.

    Args:
        read_token: gives what `Authorization: Bearer` has to give; empty leaves the API open. It is called once, by
            the first that asks: other roles import the API too, and may not read its token.
    """

    def __init__(self, read_token: Callable[[], str]):
        self._read_token = read_token
        self.guesses = Guesses()

    @cached_property
    def token(self) -> str:
        return self._read_token()

    def refuse(self, request: HttpRequest, takes: Takes = Takes()) -> HttpResponse | None:  # noqa: B008 (a tuple)
        """The answer to a call that must not reach its view, or None.

        A page of another site can post `text/plain` without asking first, and a JSON parser would take it: so a body
        must be declared as JSON (or as the form that the call takes), and a foreign Origin is refused.
        """
        if refused := self._stranger(request):
            return refused
        if request.method not in READS and (why := origins.objection(request)):
            return error(403, "foreign_origin", why)
        if refused := _body(request, takes):
            return refused
        if request.method not in (*READS, "DELETE") and request.content_type not in takes.kinds:
            return error(415, "unsupported_media_type", f"Send the body as Content-Type: {takes.kinds[0]}.")
        return None

    def _stranger(self, request: HttpRequest) -> HttpResponse | None:
        given = _bearer(request)
        if not self.token or secrets.compare_digest(_bytes(given), _bytes(self.token)):
            return None
        # A right token has passed by now, whoever else guessed from its address. No token at all is no guess.
        wait = self._guessed(request.META.get("REMOTE_ADDR", "")) if given else 0
        if wait:
            text = f"Too many wrong tokens came from this address. Try again in {wait} s, with the right one at once."
            refused = error(429, "too_many_guesses", text, wait)
        else:
            refused = error(401, "unauthorized", "Send the API token: Authorization: Bearer <token>.")
        refused["WWW-Authenticate"] = "Bearer"
        return refused

    def _guessed(self, address: str) -> int:
        wait = self.guesses.wrong(address)
        if self.guesses.worth_a_line(address):
            logger.warning("wrong API token", ip=address, wait=wait)
        return wait


def fault(request: HttpRequest, problem: Exception | type[Exception]) -> HttpResponse:
    """The answer to what Django raised for a request that is the caller's fault."""
    if isinstance(problem, Http404):
        return error(404, "not_found", f"There is no {request.method} {request.path[:200]}: see the API's docs.")
    if isinstance(problem, PermissionDenied):
        return error(403, "forbidden", "This call is not allowed.")
    if isinstance(problem, RequestDataTooBig):
        return _too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE or MAX_BODY)
    if isinstance(problem, UnreadablePostError):
        return error(400, "bad_request", "The body broke off; send it again.")
    return error(400, "bad_request", f"The request makes no sense: {str(problem)[:200]}")


def _bearer(request: HttpRequest) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip(" ") if kind.lower() == "bearer" else ""


def _bytes(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _body(request: HttpRequest, takes: Takes) -> HttpResponse | None:
    allowed = takes.limit + (FORM_OVERHEAD if takes.is_form else 0)
    text = request.META.get("CONTENT_LENGTH") or ""
    if text and not (text.isascii() and text.isdigit()):
        return error(400, "bad_request", "Content-Length: it must be a number of bytes.")
    if text:
        return _too_large(takes.limit) if len(text) > 18 or int(text) > allowed else None
    # Sent in chunks to a server that passes them on: counted, and no more is read than Django's own limit.
    if request.method in (*READS, "DELETE"):
        return None
    if takes.is_form:
        return error(411, "length_required", "Send the upload with a Content-Length.")
    try:
        return _too_large(takes.limit) if len(request.body) > allowed else None
    except FAULTS as problem:
        return fault(request, problem)


def _too_large(limit: int) -> HttpResponse:
    return error(413, "too_large", f"The body may hold at most {limit / MIB:g} MiB.")
