"""Views of a project, some of them async."""

import asyncio
import time

from django.conf import settings
from django.http import FileResponse, HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from stack.broker.connections import client


async def slow(request: HttpRequest) -> JsonResponse:
    await asyncio.sleep(float(request.GET.get("seconds", "1")))
    return JsonResponse({"slow": True})


def sync(request: HttpRequest) -> JsonResponse:
    time.sleep(float(request.GET.get("seconds", "0")))
    return JsonResponse({"client": request.META["REMOTE_ADDR"], "secure": request.is_secure()})


@csrf_exempt
def count(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"bytes": len(request.body)})


async def stream(request: HttpRequest) -> HttpResponseBase:
    async def pieces():  # type: ignore[no-untyped-def]
        for _ in range(2000):
            yield b"x" * 65536

    return StreamingHttpResponse(pieces())


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(open(settings.RUN_DIR / "large", "rb"))


def redis(request: HttpRequest) -> JsonResponse:
    """Ask Redis as the product does, and say how long that took where it fails."""
    begun = time.monotonic()
    try:
        client().ping()
    except Exception as error:
        return JsonResponse({"error": type(error).__name__, "took": time.monotonic() - begun}, status=503)
    return JsonResponse({})


urlpatterns = [
    path("slow", slow),
    path("sync", sync),
    path("count", count),
    path("stream", stream),
    path("redis", redis),
    path("file", file),
    path("", include("stack.urls")),
]
