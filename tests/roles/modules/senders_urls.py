"""Views of a project that send tasks by themselves; each says how long that took."""

import time
from collections.abc import Callable

from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from demo.tasks import add


def sent(times: int = 1) -> JsonResponse:
    """Send so many tasks, whether the one before could be sent or not."""
    begun, errors = time.monotonic(), []
    for _ in range(times):
        try:
            add.delay(1, 1)
        except Exception as error:
            errors.append(type(error).__name__)
    return JsonResponse({"errors": errors, "took": time.monotonic() - begun}, status=503 if errors else 200)


def one(request: HttpRequest) -> JsonResponse:
    return sent()


def several(request: HttpRequest) -> JsonResponse:
    return sent(times=5)


async def on_the_loop(request: HttpRequest) -> JsonResponse:
    return sent()


def of(view: Callable[..., object]) -> object:
    return path(view.__name__.replace("_", "-"), view)


urlpatterns = [of(one), of(several), of(on_the_loop), path("", include("stack.urls"))]
