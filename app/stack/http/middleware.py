"""The stack's middlewares: the probes, the line of each request in the log, and errors below the API."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django_structlog.middlewares import RequestMiddleware

from stack.http.errors import in_shape
from stack.http.probes import PROBES


class Probes:
    """Answers machines before anything else looks at the request: a probe has no host name of ours to give.

    It goes by the path that the server got, so the probes stay at its root, whatever FORCE_SCRIPT_NAME says.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
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


class ApiErrors:
    """Gives the shape of errors to those below the API that no call made: a foreign host name, a view that failed.

    Whether an address is the API's is what the URLconf says, and only a failed request is looked up.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
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
        return in_shape(request, (request.resolver_match is None and guard(request)) or response)
