"""What ends an upload, which methods a view takes, and who may hold a thread."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import pytest
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_safe
from django.views.generic import TemplateView, View

from stack.http.chunks import Chunks
from stack.http.limits import FORM_OVERHEAD, LARGEST
from stack.http.uploads import Ended, TemporaryFile, methods
from stack.http.waiting import Places


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class Taking(View):
    http_method_names = ("get", "post", "put")

    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


class Own(View):
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        return HttpResponse()


def asks_first(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A project's decorator that takes a POST itself, as one that asks for a password."""

    @wraps(view)
    def asking(request: HttpRequest) -> HttpResponse:
        return HttpResponse() if request.method == "POST" else view(request)

    return asking


@pytest.mark.parametrize(
    ("seen", "taken"),
    [
        (view, set()),
        (csrf_exempt(view), set()),
        (require_safe(view), {"GET", "HEAD"}),
        (csrf_exempt(require_GET(view)), {"GET"}),
        (require_http_methods(["POST"])(csrf_exempt(view)), {"POST"}),
        (TemplateView.as_view(), {"GET", "HEAD", "OPTIONS"}),
        (csrf_exempt(Taking.as_view()), {"POST"}),
        (Own.as_view(), set()),
        (asks_first(TemplateView.as_view()), set()),
        (csrf_exempt(asks_first(require_safe(view))), set()),
        (login_required(TemplateView.as_view()), {"GET", "HEAD", "OPTIONS"}),
    ],
    ids=range(11),
)
def test_a_view_says_which_methods_it_takes(seen: object, taken: set[str]) -> None:
    assert methods(seen) == taken


def test_a_full_disk_ends_an_upload_and_takes_its_file_along() -> None:
    request = HttpRequest()
    handler = TemporaryFile(request)
    handler.new_file("file", "a.csv", "text/csv", None)
    place = Path(handler.file.temporary_file_path())
    assert place.exists()
    with Path("/dev/full").open("wb", buffering=0) as full:
        handler.file.file.file = full
        with pytest.raises(Ended):
            handler.receive_data_chunk(b"a" * 1_000_000, 0)

    assert request.__dict__["ended"][0] == 507
    assert isinstance(handler.file, TemporaryUploadedFile)
    handler.upload_interrupted()
    assert not place.exists()


def test_a_thread_stays_free_whoever_waits() -> None:
    both = [Places(100), Places(100)]
    taken = 0
    while any(kind.take() for kind in both):
        taken += 1
    for kind in both:
        assert not kind.take()
    for _ in range(taken):
        Places.together.release()
    assert 0 < taken < 8, "of WEB_THREADS"


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        (b"", False),
        (b"5", False),
        (b"5\r\nab", False),
        (b"5\r\nabcde", False),
        (b"5\r\nabcde\r\n", False),
        (b"5\r\nabcde\r\n0\r\n", False),
        (b"5\r\nabcde\r\n0\r\n\r\n", True),
        (b"5;a=b\r\nabcde\r\n0\r\nX: y\r\n", False),
        (b"5;a=b\r\nabcde\r\n0\r\nX: y\r\n\r\n", True),
        (b"5\r\nabcdefgh\r\n", True),
        (b"-5\r\n", True),
        (b"x\r\n", True),
        (b"5" * 9_000, True),
        (b"0\r\nX: " + b"y" * 9_000, True),
    ],
    ids=range(14),
)
def test_the_end_of_a_chunked_body_is_found_however_it_comes(body: bytes, ended: bool) -> None:
    assert Chunks().ended(bytearray(body)) is ended
    slowly, whole = Chunks(), bytearray()
    found = False
    for byte in body:
        whole.append(byte)
        found = found or slowly.ended(whole)
    assert found is ended


def test_the_server_lets_through_what_the_api_takes() -> None:
    demo = pytest.importorskip("demo.api", reason="the data sets are the demo's")
    assert demo.MAX_CSV + FORM_OVERHEAD <= LARGEST
