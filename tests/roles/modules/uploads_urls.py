"""A project's views that read a body, each in its way, below /own/."""

import tempfile
from pathlib import Path

from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from stack.urls import urlpatterns as stacks


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    return JsonResponse({name: file.size for name, file in request.FILES.items()})


@csrf_exempt
def body(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"length": len(request.body)})


@csrf_exempt
def full(request: HttpRequest) -> HttpResponse:
    with Path("/dev/full").open("w") as file:
        file.write("no room")
    return HttpResponse()


def form(request: HttpRequest) -> HttpResponse:
    return JsonResponse({name: file.size for name, file in request.FILES.items()})


@csrf_exempt
def large(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"x" * 4 * 1024 * 1024)


def larger(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"x" * 48 * 1024 * 1024)


def file(request: HttpRequest) -> FileResponse:
    content = tempfile.TemporaryFile()  # noqa: SIM115 (the response closes it)
    content.truncate(24 * 1024 * 1024)
    return FileResponse(content)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(b"x" * 64 * 1024 for _ in range(1000))


urlpatterns = [
    *stacks,
    *(path(f"own/{view.__name__}", view) for view in (upload, body, full, form, large, larger, file, stream)),
]
