"""What every /api/ call must satisfy before a view sees it, and the one shape of every error."""

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse

from stack.env import get

MAX_BODY = 1024 * 1024
MAX_UPLOAD = 5 * 1024 * 1024
_UPLOAD_OVERHEAD = 64 * 1024  # multipart's own lines around the file
CODES = {400: "bad_request", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}


def error(status: int, code: str, message: str, retry_after: int | None = None) -> HttpResponse:
    """The answer {"error": {"code", "message"}}; `retry_after` in seconds becomes the Retry-After header."""
    response = JsonResponse({"error": {"code": code, "message": message}}, status=status)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


class Probes:
    """Answers machines before anything else looks at the request: a probe has no host name of ours to give."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        from stack import views

        self.get_response = get_response
        self.views = {"/livez": views.livez, "/readyz": views.readyz}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.views.get(request.path, self.get_response)(request)


class ApiGuard:
    """Token, origin, media type and size of /api/ calls.

    A page of another site can post `text/plain` without asking first, and a JSON parser would take it: so
    a body must be declared as JSON (or multipart for an upload), and a foreign Origin is refused.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response
        self.token = get("API_TOKEN", settings.ENV)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/api/"):
            return self.get_response(request)
        response = self.refuse(request) or self.get_response(request)
        if response.status_code >= 400 and not response.headers.get("Content-Type", "").startswith("application/json"):
            code = CODES.get(response.status_code, "error")
            return error(response.status_code, code, f"{request.method} {request.path}: {response.reason_phrase}.")
        return response

    def refuse(self, request: HttpRequest) -> HttpResponse | None:
        """The answer to a call that must not reach a view, or None."""
        if self.token and not secrets.compare_digest(self._bearer(request).encode(), self.token.encode()):
            refused = error(401, "unauthorized", "Send the API token: Authorization: Bearer <token>.")
            refused["WWW-Authenticate"] = "Bearer"
            return refused
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return None
        origin = request.headers.get("Origin")
        if origin and not self._same_origin(request, origin):
            return error(403, "foreign_origin", f"Calls from pages of {origin[:200]} need it in CSRF_TRUSTED_ORIGINS.")
        upload = request.path == "/api/datasets"
        if self._length(request) > (MAX_UPLOAD + _UPLOAD_OVERHEAD if upload else MAX_BODY):
            return error(413, "too_large", f"The body may hold at most {'5 MiB' if upload else '1 MiB'}.")
        wanted = "multipart/form-data" if upload else "application/json"
        if request.method != "DELETE" and request.content_type != wanted:
            return error(415, "unsupported_media_type", f"Send the body as Content-Type: {wanted}.")
        return None

    @staticmethod
    def _bearer(request: HttpRequest) -> str:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    @staticmethod
    def _length(request: HttpRequest) -> int:
        text = request.headers.get("Content-Length") or "0"
        return int(text) if text.isdigit() else 0

    @staticmethod
    def _same_origin(request: HttpRequest, origin: str) -> bool:
        try:
            # No URL at all, such as http://[, or a foreign name in Host.
            return origin in settings.CSRF_TRUSTED_ORIGINS or urlsplit(origin).netloc == request.get_host()
        except (ValueError, DisallowedHost):
            return False
