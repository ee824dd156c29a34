"""The probes, and the one shape of every error below the API. guard.py has what the API asks of a call."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django_structlog.middlewares import RequestMiddleware

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
}


def error(status: int, code: str, message: str, retry_after: int | None = None) -> HttpResponse:
    """The answer {"error": {"code", "message"}}; `retry_after` in seconds becomes the Retry-After header."""
    response = JsonResponse({"error": {"code": code, "message": message}}, status=status)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


def in_shape(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The response of a call; an error that is no JSON gets the shape of errors and keeps its headers."""
    response.headers.setdefault("Cache-Control", "no-store")
    if response.status_code < 400 or response.headers.get("Content-Type", "").startswith("application/json"):
        return response
    text = f"{request.method} {request.path[:200]}: {response.reason_phrase}."
    if takes := response.headers.get("Allow"):
        text += f" This address takes {takes}."
    shape = error(response.status_code, CODES.get(response.status_code, "error"), text)
    if not isinstance(response, HttpResponse):  # it streams
        return shape
    response.content = shape.content
    response["Content-Type"] = shape["Content-Type"]
    response["Content-Length"] = str(len(shape.content))
    return response


class Probes:
    """Answers machines before anything else looks at the request: a probe has no host name of ours to give.

    It goes by the path that the server got, so the probes stay at its root, whatever FORCE_SCRIPT_NAME says.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        from stack.http import views

        self.get_response = get_response
        self.views = {"/livez": views.livez, "/readyz": views.readyz}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.views.get(request.path_info, self.get_response)(request)


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
