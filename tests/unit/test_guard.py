"""The guard of the API: nobody gets past it, wherever the API is mounted and whatever the address looks like."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.test import Client, RequestFactory, override_settings
from django.urls import URLPattern, URLResolver, include, path, resolve
from ninja import File, NinjaAPI
from ninja import Router as PlainRouter
from ninja.files import UploadedFile

import stack.urls
from stack.http import tasks_api, views
from stack.http.api import api
from stack.http.guard import MULTIPART, Takes
from stack.http.guarded import GuardedAPI, Router
from stack.http.limits import FORM_OVERHEAD, MAX_BODY
from stack.http.places import address_of
from stack.runtime.guesses import Guesses

APP = Path(__file__).parents[2] / "app"
TOKEN = "a-token-of-this-test"
AUTH = {"authorization": f"Bearer {TOKEN}"}
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
FORM = "application/x-www-form-urlencoded"


def conf(*patterns: Any) -> Any:
    """A URLconf of a test's own."""
    return type("Conf", (), {"urlpatterns": [*patterns, path("version", views.version, name="version")]})


MOUNTS = {
    "as shipped": (conf(path("", include("stack.urls"))), "/api/"),
    "at another address": (conf(path("v1/", api.urls)), "/v1/"),
    "included": (conf(path("backend/", include("stack.urls"))), "/backend/api/"),
    "in a namespace": (conf(path("shop/", include((stack.urls.urlpatterns, "shop"), namespace="s"))), "/shop/api/"),
    "at the root": (conf(path("", api.urls)), "/"),
}
everywhere = pytest.mark.parametrize("mount", MOUNTS)


@pytest.fixture(autouse=True)
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.guard, "token", TOKEN)
    monkeypatch.setattr(api.guard, "guesses", Guesses())


def client(**headers: str) -> Client:
    return Client(enforce_csrf_checks=True, raise_request_exception=False, headers={"host": "localhost", **headers})


def refused(answer: Any, status: int) -> str:
    """The message of an error in its one shape."""
    assert answer.status_code == status, (answer.status_code, answer.content[:300])
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store, private"
    if answer.request["REQUEST_METHOD"] == "HEAD":
        return ""
    assert set(answer.json()["error"]) == {"code", "message"}
    return str(answer.json()["error"]["message"])


def addresses(patterns: Any, before: str = "/") -> Iterator[str]:
    """One address for each pattern below those."""
    for pattern in patterns:
        place = before + re.sub(r"<[^>]+>", "some-name", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, place)
        elif isinstance(pattern, URLPattern):
            yield place


@everywhere
def test_each_verb_on_each_address_needs_the_token(mount: str) -> None:
    urlconf, base = MOUNTS[mount]
    found = [each for each in addresses(urlconf.urlpatterns) if each.startswith(base)]
    assert len(found) > 15
    call = client() if mount == "as shipped" else None  # elsewhere the view alone, which takes a tenth of the time
    with override_settings(ROOT_URLCONF=urlconf):
        for address in {*found, f"{base}nothing/here", f"{base}tasks/"} - {"/version"}:
            for verb in VERBS:
                if verb in ("GET", "HEAD") and address in (f"{base}docs", f"{base}openapi.json"):
                    continue
                if call:
                    message = refused(call.generic(verb, address, b"{}", FORM), 401)
                    assert verb == "HEAD" or "Bearer" in message, (verb, address)
                else:
                    request = RequestFactory(headers={"host": "localhost"}).generic(verb, address, b"{}", FORM)
                    view, args, kwargs = resolve(address)
                    assert view(request, *args, **kwargs).status_code == 401, (verb, address)


@everywhere
def test_origin_size_and_media_type_are_checked_everywhere(mount: str) -> None:
    urlconf, base = MOUNTS[mount]
    call = client(**AUTH)
    with override_settings(ROOT_URLCONF=urlconf):
        for address in (f"{base}tasks/add", f"{base}canvas/group"):
            foreign = call.post(address, {}, "application/json", headers={"origin": "https://evil.example"})
            assert "CSRF_TRUSTED_ORIGINS" in refused(foreign, 403)
            assert "1 MiB" in refused(call.post(address, b" " * (MAX_BODY + 1), "application/json"), 413)
            assert "application/json" in refused(call.post(address, b"{}", "text/plain"), 415)


@pytest.mark.parametrize(
    "trick",
    [
        *("/api//tasks", "//api/tasks", "/api/%2Ftasks", "/api%2Ftasks", "/API/tasks", "/api/tasks/", "/api/tasks;x"),
        *("/api/./tasks", "/api/../api/tasks", "/x/../api/tasks", "/api/tasks%00", "/api/tasks?token=" + TOKEN),
        *(
            "/api/tasks%20",
            "/%61pi/tasks",
            "/api/%74asks",
            "/api\\tasks",
            "/api/tasks%0a",
            "/api/tasks#",
            "/./api/tasks",
        ),
    ],
)
@pytest.mark.parametrize("script", [None, "", "/x", "/api", "/api/tasks"])
def test_no_spelling_of_an_address_gets_past_the_guard(trick: str, script: str | None) -> None:
    extra = {} if script is None else {"SCRIPT_NAME": script}
    with override_settings(FORCE_SCRIPT_NAME=None):
        answer = client().get(trick, **extra)
    # What is none of the API's addresses is nobody's here.
    assert answer.status_code in (401, 404), (answer.status_code, answer.content[:200])


def test_the_guard_and_the_probes_hold_below_a_script_name() -> None:
    with override_settings(FORCE_SCRIPT_NAME="/app"):
        refused(client().get("/api/tasks"), 401)
        refused(client().post("/api/tasks/add", b"{}", FORM), 401)
        assert client(host="of.nobody").get("/livez").json() == {"status": "ok"}


class Forms:
    TAKEN = (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER {TOKEN}", f"Bearer  {TOKEN}", f"Bearer {TOKEN} ")
    REFUSED = (
        *("", " ", "Bearer", "Bearer ", "Bearer  ", TOKEN, f" {TOKEN}", f":{TOKEN}"),
        *(f"Bearer{TOKEN}", f"Bearer\t{TOKEN}", f"Bearer:{TOKEN}", f"Bearer={TOKEN}", f"Bearer\xa0{TOKEN}"),
        *(f"Basic {TOKEN}", f"Token {TOKEN}", f"Digest {TOKEN}", f"Bearer Bearer {TOKEN}", f'Bearer "{TOKEN}"'),
        *(f"Bearer {TOKEN},", f"Bearer {TOKEN}, Bearer {TOKEN}", f"Bearer x,Bearer {TOKEN}", f"Bearer {TOKEN} x"),
        *(f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN}\x00"),
        *(
            f"Bearer {TOKEN}\xa0",
            f"Bearer \ud83d{TOKEN}",
            f"Bearer {TOKEN.replace('a', chr(0xFF41))}",
            "Bearer *",
            "Bearer null",
        ),
    )


def test_only_the_bearer_token_itself_passes() -> None:
    for form in Forms.TAKEN:
        refused(client(authorization=form).get("/api/nothing"), 404)
    for form in Forms.REFUSED:
        answer = client(authorization=form).get("/api/nothing")
        assert answer.status_code in (401, 429), form
        assert answer["WWW-Authenticate"] == "Bearer"


def test_a_token_in_any_other_place_is_no_token() -> None:
    for place in (
        {"query_params": {"token": TOKEN, "access_token": TOKEN, "api_token": TOKEN}},
        {"headers": {"cookie": f"token={TOKEN}; Authorization=Bearer {TOKEN}"}},
        {
            "headers": {
                "x-api-token": TOKEN,
                "x-authorization": f"Bearer {TOKEN}",
                "proxy-authorization": f"Bearer {TOKEN}",
            }
        },
        {"REMOTE_USER": TOKEN, "HTTP_X_HTTP_METHOD_OVERRIDE": "OPTIONS"},
    ):
        refused(client().get("/api/tasks", **place), 401)  # type: ignore[arg-type]


def test_many_wrong_tokens_have_to_wait_and_the_right_one_never() -> None:
    wrong, right = client(authorization="Bearer wrong"), client(**AUTH)
    for _ in range(10):
        refused(wrong.get("/api/nothing"), 401)
    for _ in range(30):
        answer = wrong.get("/api/nothing")
        assert "Try again in" in refused(answer, 429)
        assert 1 <= int(answer["Retry-After"]) <= 60
        assert answer["WWW-Authenticate"] == "Bearer"

    refused(right.get("/api/nothing"), 404)
    refused(wrong.get("/api/nothing", REMOTE_ADDR="192.0.2.1"), 401)
    # Who gives none guesses nothing: 401, which says what is wanted.
    for _ in range(20):
        refused(client().get("/api/nothing"), 401)


def test_an_api_without_a_token_is_open_and_still_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.guard, "token", "")
    refused(client().get("/api/nothing"), 404)
    refused(client(authorization="Bearer anything").get("/api/nothing"), 404)
    refused(client(origin="https://evil.example").post("/api/tasks/add", {}, "application/json"), 403)


@pytest.mark.parametrize("length", ["1e9", "-1", "²", "+5", "1_0", "5, 5", "9" * 30])
def test_a_length_that_is_none_or_huge_is_refused(length: str) -> None:
    answer = client(**AUTH).post("/api/tasks/add", b"{}", "application/json", CONTENT_LENGTH=length)
    refused(answer, 413 if length.isdecimal() else 400)


def test_a_body_of_unknown_length_is_counted() -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/tasks/add",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"authorization", f"Bearer {TOKEN}".encode())],
    }
    for size, status in ((MAX_BODY, None), (MAX_BODY + 1, 413), (8 * MAX_BODY, 413)):
        answer = api.guard.refuse(ASGIRequest(scope, BytesIO(b" " * size)))
        assert (answer.status_code if answer else None) == status, size
    answer = api.guard.refuse(ASGIRequest(scope, BytesIO(b" ")), Takes(MAX_BODY, (MULTIPART,)))
    assert answer is not None
    assert answer.status_code == 411


own = Router()
plain = PlainRouter()


@own.post("/files", openapi_extra={"x-max-body": 2 * MAX_BODY})
def take_file(request: HttpRequest, file: File[UploadedFile]) -> dict[str, int]:
    return {"size": file.size or 0}


@own.get("/files")
def list_files(request: HttpRequest) -> list[str]:
    return []


@plain.get("/waits")
async def waits(request: HttpRequest) -> str:
    return "done"


@plain.get("/fails/{how}")
def fails(request: HttpRequest, how: str) -> str:
    problem = {"denied": PermissionDenied("x"), "gone": UnreadablePostError("gone"), "bug": ZeroDivisionError("secret")}
    raise problem[how]


def mine() -> GuardedAPI:
    made = GuardedAPI(token=lambda: TOKEN, urls_namespace="mine")
    made.add_router("/own", own)
    made.add_router("/plain", plain)
    return made


def test_an_upload_has_the_limit_that_its_call_declares() -> None:
    call = client(**AUTH)
    boundary = "--b\r\nContent-Disposition: form-data; name=file; filename=f\r\n\r\n%s\r\n--b--\r\n"
    with override_settings(ROOT_URLCONF=conf(path("elsewhere/", mine().urls))):

        def post(size: int, kind: str = "multipart/form-data; boundary=b") -> Any:
            return call.generic("POST", "/elsewhere/own/files", (boundary % ("x" * size)).encode(), kind)

        assert post(2 * MAX_BODY).json() == {"size": 2 * MAX_BODY}
        assert "2 MiB" in refused(post(2 * MAX_BODY + FORM_OVERHEAD), 413)
        assert "multipart/form-data" in refused(post(5, "application/json"), 415)
        assert call.get("/elsewhere/own/files").json() == []
        refused(call.generic("PUT", "/elsewhere/own/files", b"{}", "application/json"), 405)


def test_plain_and_async_calls_of_a_guarded_api_are_guarded_too() -> None:
    with override_settings(ROOT_URLCONF=conf(path("elsewhere/", mine().urls))):
        refused(client().get("/elsewhere/plain/waits"), 401)
        answer = client(**AUTH).get("/elsewhere/plain/waits")
        assert (answer.json(), answer["Cache-Control"]) == ("done", "no-store, private")


@pytest.mark.parametrize(("how", "status"), [("denied", 403), ("gone", 400), ("bug", 500)])
@pytest.mark.parametrize("debug", [False, True])
def test_whatever_a_call_raises_is_answered_as_json(how: str, status: int, debug: bool) -> None:
    with override_settings(ROOT_URLCONF=conf(path("elsewhere/", mine().urls)), DEBUG=debug):
        message = refused(client(**AUTH).get(f"/elsewhere/plain/fails/{how}"), status)
    assert "secret" not in message


def test_errors_outside_the_calls_have_the_shape_of_errors_too() -> None:
    foreign_host = client(**AUTH, host="evil.example")
    refused(foreign_host.get("/api/tasks"), 400)
    refused(foreign_host.post("/api/tasks/add", {}, "application/json", headers={"origin": "http://evil.example"}), 403)
    refused(client(host="evil.example").get("/api/tasks"), 401)
    many = "&".join(f"f{number}=1" for number in range(2000))
    refused(client(**AUTH).get(f"/api/tasks/some-id?{many}"), 400)
    not_allowed = client(**AUTH).generic("PUT", "/api/tasks/add", b"{}", "application/json")
    assert "GET" in refused(not_allowed, 405)
    assert "GET" in not_allowed["Allow"]
    # Elsewhere errors are the project's.
    assert "json" not in client().get("/nothing")["Content-Type"]


def test_calls_on_an_api_without_the_guard_stop_the_start() -> None:
    bare = NinjaAPI(title="shop", urls_namespace="bare")
    bare.add_router("/tasks", tasks_api.router)
    with pytest.raises(ImproperlyConfigured, match=r"stack\.http\.tasks_api.*'shop'.*GuardedAPI"):
        _ = bare.urls

    nested = PlainRouter()
    nested.add_router("/deep", own)
    deep = NinjaAPI(urls_namespace="deep")
    deep.add_router("/x", nested)
    with pytest.raises(ImproperlyConfigured, match="no guard"):
        _ = deep.urls


def test_an_api_of_the_projects_own_is_not_touched() -> None:
    theirs = NinjaAPI(urls_namespace="theirs")

    @theirs.post("/form")
    def form(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.POST["a"], content_type="text/plain")

    with override_settings(ROOT_URLCONF=conf(path("api/shop/", theirs.urls), path("api/", api.urls))):
        answer = client(origin="https://elsewhere.example").post("/api/shop/form", {"a": "b" * 2_000_000})
        assert (answer.status_code, len(answer.content)) == (200, 2_000_000)
        assert "Cache-Control" not in answer
        refused(client().get("/api/tasks"), 401)


def test_a_namespace_changes_no_address_in_an_answer() -> None:
    for urlconf, base in MOUNTS.values():
        with override_settings(ROOT_URLCONF=urlconf):
            request: Any = SimpleNamespace(resolver_match=resolve(f"{base}tasks/x"))
            assert address_of(request, "api:task", task="a b") == f"{base}tasks/a%20b"
            assert address_of(request, "api:canvas", canvas="c") == f"{base}canvas/c"


def test_the_web_role_does_not_start_with_an_unguarded_api(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("from demo.settings import *\nROOT_URLCONF = 'bare_urls'\n")
    (tmp_path / "bare_urls.py").write_text(
        "import stack.http.api\n"
        "from django.urls import path\n"
        "from ninja import NinjaAPI\n"
        "theirs = NinjaAPI(title='theirs', urls_namespace='theirs')\n"
        "theirs.add_router('/tasks', 'stack.http.tasks_api.router')\n"
        "urlpatterns = [path('v1/', theirs.urls)]\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", "import stack.wsgi"],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "bare", "PYTHONPATH": f"{tmp_path}:{APP}", "API_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert (
        "ImproperlyConfigured: The calls of stack.http.tasks_api would be open to everybody: the API 'theirs'"
        in ran.stderr
    )
