"""The one shape of every error below the API, {"error": {"code", "message"}}; an outage is a 503, never a 500."""

import redis
from django.db import InterfaceError, InternalError
from django.db import OperationalError as DatabaseDown
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from kombu.exceptions import OperationalError

from stack.broker.refusals import what_redis_said
from stack.state import outages

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
    429: "queue_full",
}
OUTAGE = (redis.RedisError, OperationalError, DatabaseDown, InterfaceError)
AGAIN = "Try again in 5 s, with the same Idempotency-Key if you sent one."


def error(status: int, code: str, message: str, retry_after: int | None = None) -> HttpResponse:
    """The answer {"error": {"code", "message"}}; `retry_after` in seconds becomes the Retry-After header."""
    response = JsonResponse({"error": {"code": code, "message": message}}, status=status)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


def in_shape(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The response of a call; an error that is no JSON gets the shape of errors and keeps its headers."""
    # Both words: some releases of Django 5.2 keep in a project's cache of pages what says `no-store` alone.
    response.headers.setdefault("Cache-Control", "no-store, private")
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


def outage(request: HttpRequest, problem: Exception | type[Exception], advice: str = AGAIN) -> HttpResponse:
    """503 for a backend that is down, hung or full, with what to do."""
    if said := what_redis_said(problem):
        code, message, seconds = said
        # To try again at once helps only where Redis refuses for now.
        return error(503, code, message if seconds > 5 and advice is AGAIN else f"{message} {advice}", seconds)
    found = outages.of(problem) if isinstance(problem, Exception) else None
    if found and found.kind == outages.READ_ONLY:
        return error(503, "backend_down", f"The database takes no writes. {advice}", 5)
    what = "The database" if found or isinstance(problem, DatabaseDown | InterfaceError | InternalError) else "Redis"
    return error(503, "backend_down", f"{what} does not answer. {advice}", 5)
