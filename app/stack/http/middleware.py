"""The stack's middlewares: the probes, the line of each request in the log, and errors below the API."""

import sys
from collections.abc import Callable
from typing import Any

from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django_structlog.middlewares import RequestMiddleware

from stack.broker.comeback import one_request
from stack.http.database import bound, bounded
from stack.http.errors import in_shape, outage
from stack.http.probes import PROBES
from stack.state import outages


class Probes:
    """Answers machines before anything else looks at the request: a probe has no host name of ours to give.

    It goes by the path that the server got, so the probes stay at its root, whatever FORCE_SCRIPT_NAME says.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with one_request():
            return PROBES.get(request.path_info, self.get_response)(request)


class Requests(RequestMiddleware):
    """django-structlog's, which would make a generator of each file: a slow reader of it would hold a thread.

    As a file the server sends it by itself (stack/http/peer.py), when the thread is free again.
    """

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        file = getattr(response, "file_to_stream", None)
        super().handle_response(request, response)
        if file is not None:
            response.file_to_stream = file  # type: ignore[attr-defined]


@got_request_exception.connect
def note_an_outage(request: HttpRequest | None = None, **_: Any) -> None:
    """Whatever failed for it, in a middleware of the project's too, Django makes the same 500 of it."""
    if request is not None:
        request.stack_outage = outages.of(sys.exc_info()[1]) and sys.exc_info()[1]  # type: ignore[attr-defined]


class ApiErrors:
    """Gives the shape of errors to those below the API that no call made: a foreign host name, a view that failed.

    An outage of the database is a 503 there, also where ATOMIC_REQUESTS or a middleware of the project's met it.
    Whether an address is the API's is what the URLconf says, and only a failed request is looked up.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with bounded(False):
            response = self.get_response(request)
        if response.status_code < 400 or response.headers.get("Content-Type", "").startswith("application/json"):
            return response
        try:
            view = resolve(request.path_info, getattr(request, "urlconf", None)).func
        except Resolver404:
            return response
        guard = getattr(view, "guard", None)
        if guard is None:
            return response
        # Who has no token learns nothing else, also where the request failed before it came to the guard.
        refused = request.resolver_match is None and guard(request)
        if not refused and response.status_code == 500 and (problem := getattr(request, "stack_outage", None)):
            response = outage(request, problem)
        return in_shape(request, refused or response)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """The transaction around a view of the API begins before the view."""
        if hasattr(view, "guard"):
            bound()

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """An outage that no view met: of the transaction around it."""
        match = request.resolver_match
        is_api = match is not None and hasattr(match.func, "guard")
        return outage(request, exception) if is_api and outages.of(exception) else None
