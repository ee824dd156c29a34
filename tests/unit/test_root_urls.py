"""Addresses of a project that never heard of the stack: its own stay as they are, the stack lies below /stack/."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.test import override_settings
from ninja import Router

from stack.http import routers
from stack.http.guarded import GuardedAPI
from stack.http.limits import LARGEST
from tests.machine import patience

APP = Path(__file__).parents[2] / "app"
URLS = """
from django.conf.urls.i18n import i18n_patterns
from django.http import HttpResponse, JsonResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI

own = NinjaAPI(title="shop", urls_namespace="api")

@csrf_exempt
def take(request):
    return JsonResponse({"size": len(request.body), "form": sorted(request.POST), "files": sorted(request.FILES)})

def version(request):
    return HttpResponse("1")

def missing(request, exception=None):
    return HttpResponse("shop: nothing here", status=404)

def broken(request):
    return HttpResponse("shop: an error", status=500)

def fails(request):
    raise RuntimeError

handler404, handler500 = missing, "shop_urls.broken"
urlpatterns = [
    path("api/take", take),
    path("api/ninja/", own.urls),
    path("version", version, name="version"),
    path("fails", fails),
    *i18n_patterns(path("about", version, name="about")),
]
"""
START = """
import json, os, django
from django.conf import settings
import demo.settings as given
for name, value in OVER.items():
    setattr(given, {'PROJECT_URLCONF': 'ROOT_URLCONF'}.get(name, name), value)
django.setup()
from django.test import Client
from django.urls import reverse
client = Client(raise_request_exception=False, headers={"host": "localhost"})
get = lambda path, **more: client.get(path, **more)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop_urls.py").write_text(URLS)
    return tmp_path


def run(folder: Path, code: str, **over: object) -> str:
    """What `code` prints in a process whose project has these settings; a failed assertion is the test's."""
    over = {"PROJECT_URLCONF": "shop_urls", "STACK_API_ROUTERS": {}, "STACK_TASK_COUNTERS": None} | over
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:No directory at", "-c", f"OVER={over!r}{START}{dedent(code)}"],
        env=os.environ
        | {"DJANGO_SETTINGS_MODULE": "stack.settings", "PYTHONPATH": f"{folder}:{APP}", "API_TOKEN": "t"},
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_stack_lies_below_its_prefix_and_all_else_is_the_projects(project: Path) -> None:
    run(
        project,
        """
        # The page and what it names.
        page = get("/stack/").content.decode()
        for place in ("api/", "version"):
            assert f'="/stack/{place}"' in page, page[:2000]
        assert 'href="/stack/api/docs"' in page and '"/api/' not in page and "data-uploads" not in page
        assert get("/stack/version").json()["name"] == "django-celery-stack"
        assert get("/livez")["Link"] == '</stack/api/openapi.json>; rel="service-desc"'
        assert b"openapi.json" in get("/stack/api/docs").content
        assert set(get("/stack/api/openapi.json").json()["paths"]) >= {"/stack/api/tasks", "/stack/api/tasks/{task}"}
        assert get("/stack").status_code == 301
        # The guard and its shape of errors are there,
        told = get("/stack/api/tasks")
        assert (told.status_code, told.json()["error"]["code"]) == (401, "unauthorized")
        auth = {"authorization": "Bearer t"}
        told = client.post("/stack/api/tasks/nothing", {}, "application/json", headers=auth)
        assert "GET /stack/api/tasks lists those" in told.json()["error"]["message"], told.content
        # Any class of task may be offered; without a function that counts there is nothing to count.
        from celery import Task, current_app
        class Own(Task):
            name, api = "own", True
            def run(self, number: int) -> int:
                return number
        current_app.register_task(Own())
        listed = {task["name"]: task for task in get("/stack/api/tasks", headers=auth).json()}
        assert listed["own"]["schema"]["properties"]["number"]["type"] == "integer"
        assert {str(task["counters"]) for task in listed.values()} == {"{}"}
        # and nowhere else.
        from django.core.files.uploadedfile import SimpleUploadedFile
        big = SimpleUploadedFile("a.csv", b"x" * 6_000_000)
        assert client.post("/api/take", {"a": "1"}).json()["form"] == ["a"]
        assert client.post("/api/take", b"x" * 2_000_000, "text/plain").json()["size"] == 2_000_000
        foreign = client.post("/api/take", {"file": big}, headers={"origin": "https://evil.example"})
        assert foreign.json()["files"] == ["file"]
        assert get("/version").content == b"1"
        for path in ("/api/tasks", "/nothing"):
            assert (get(path).status_code, get(path).content) == (404, b"shop: nothing here")
        assert (get("/fails").status_code, get("/fails").content) == (500, b"shop: an error")
        assert get("/api/ninja/openapi.json").json()["info"]["title"] == "shop"
        # Languages are at the root.
        assert get("/en/about").content == b"1"
        assert get("/about", headers={"accept-language": "en"})["Location"] == "/en/about"
        """,
        MIDDLEWARE=[
            "stack.http.middleware.Probes",
            "stack.http.uploads.Uploads",
            "stack.http.middleware.ApiErrors",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.locale.LocaleMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
        ],
    )


@pytest.mark.parametrize(
    ("templates", "included", "place"),
    [
        ([], "path('', include('stack.urls'))", "/"),
        (
            [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": False}],
            "path('ops/', include('stack.urls', namespace='jobs'))",
            "/ops/",
        ),
        (
            [
                {
                    "BACKEND": "django.template.backends.dummy.TemplateStrings",
                    "APP_DIRS": True,
                    "DIRS": [],
                    "OPTIONS": {},
                }
            ],
            "*i18n_patterns(path('x/', include(([path('', include('stack.urls'))], 'outer'))))",
            "/en-us/x/",
        ),
    ],
    ids=range(3),
)
def test_a_project_has_the_stack_where_it_includes_it(
    project: Path, templates: list[object], included: str, place: str
) -> None:
    with (project / "shop_urls.py").open("a") as file:
        file.write(f"urlpatterns.append({included})\n")
    run(
        project,
        f"""
        page = get("{place}")
        assert page.status_code == 200 and 'data-api="{place}api/"' in page.content.decode()
        assert 'data-version="{place}version"' in page.content.decode()
        assert get("/livez")["Link"] == '<{place}api/openapi.json>; rel="service-desc"'
        assert get("{place}api/tasks").status_code == 401
        assert get("{place}api/docs").status_code == 200
        assert get("/stack/").status_code == 404
        """,
        TEMPLATES=templates,
    )


def test_an_address_that_the_stack_covers_is_told_with_the_line_to_write(project: Path) -> None:
    own = "path('stack/', version), re_path('^stack/version$', version), re_path('.*', version)]"
    (project / "shop_urls.py").write_text(f"{URLS}\nurlpatterns += [{own}")
    code = """
    from stack.apps import addresses_not_reached
    print([message.msg for message in addresses_not_reached(None)])
    """
    told = run(project, code)
    assert told.count("is not reached") == 2
    assert "/stack/ of shop_urls is not reached, the stack's own is there: write path('ops/'" in told
    with (project / "shop_urls.py").open("a") as file:
        file.write("\nurlpatterns.insert(0, path('ops/', include('stack.urls')))")
    assert run(project, code) == "[]\n"


def test_a_login_that_is_demanded_everywhere_leaves_the_stack_to_its_token(project: Path) -> None:
    run(
        project,
        """
        assert get("/api/take").status_code == 302
        assert get("/stack/").status_code == get("/stack/version").status_code == 200
        assert get("/stack/api/tasks").status_code == 401
        assert get("/livez").status_code == 200
        """,
        MIDDLEWARE=[
            "stack.http.middleware.Probes",
            "stack.http.middleware.ApiErrors",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
        ],
    )


def test_a_host_with_addresses_of_its_own_has_no_others(project: Path) -> None:
    (project / "hosts.py").write_text(
        "from django.urls import path\nfrom shop_urls import version\n\n"
        "def other(get_response):\n"
        "    def middleware(request):\n"
        "        request.urlconf = 'hosts'\n"
        "        return get_response(request)\n"
        "    return middleware\n\n"
        "urlpatterns = [path('only', version), path('api/bad', lambda request: 1 / 0)]\n"
    )
    run(
        project,
        """
        assert get("/only").status_code == get("/livez").status_code == 200
        assert get("/stack/api/tasks").status_code == 404
        assert "json" not in get("/stack/api/tasks")["Content-Type"] and "json" not in get("/api/bad")["Content-Type"]
        """,
        MIDDLEWARE=["stack.http.middleware.Probes", "stack.http.middleware.ApiErrors", "hosts.other"],
    )


ROUTER = """
from django.http import HttpRequest
from ninja import File, Form, Router
from ninja.files import UploadedFile

router, not_one = Router(), object()

@router.get("")
def names(request: HttpRequest) -> list[str]:
    return ["a"]

@router.post("/file", openapi_extra={"x-max-body": 2_000_000})
def file(request: HttpRequest, file: File[UploadedFile]) -> int:
    return file.size or 0

@router.post("/form")
def form(request: HttpRequest, a: Form[int]) -> int:
    return a
"""


def test_a_plain_router_of_the_project_is_behind_the_guard(project: Path) -> None:
    (project / "shop_api.py").write_text(ROUTER)
    run(
        project,
        """
        from django.core.files.uploadedfile import SimpleUploadedFile
        auth = {"authorization": "Bearer t"}
        assert get("/stack/api/shop").json()["error"]["code"] == "unauthorized"
        assert get("/stack/api/shop", headers=auth).json() == ["a"]
        def post(size, **more):
            data = {"file": SimpleUploadedFile("f", b"x" * size)}
            return client.post("/stack/api/shop/file", data, headers=auth | more)
        assert post(2_000_000).json() == 2_000_000
        assert post(2_100_000).json()["error"]["code"] == "too_large"
        assert post(5, origin="https://evil.example").json()["error"]["code"] == "foreign_origin"
        assert client.post("/stack/api/shop/file", {}, "application/json", headers=auth).status_code == 415
        form = "application/x-www-form-urlencoded"
        assert client.post("/stack/api/shop/form", "a=5", form, headers=auth).json() == 5
        assert client.post("/stack/api/shop/form", {"a": "5"}, headers=auth).json() == 5
        document = get("/stack/api/openapi.json").json()["paths"]["/stack/api/shop/file"]["post"]
        assert document["x-max-body"] == 2_000_000
        """,
        STACK_API_ROUTERS={"/shop": "shop_api.router"},
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"/shop": "shop_apy.router"}, "'/shop': 'shop_apy.router' cannot be imported: No module named 'shop_apy'"),
        ({"/shop": "shop_api.rooter"}, "'shop_api.rooter' cannot be imported"),
        ({"/shop": "shop_api.not_one"}, "'shop_api.not_one' is of the type object, not a ninja.Router"),
        ({"/tasks": "shop_api.router"}, "the address '/tasks' is the stack's own"),
        ({"/docs": "shop_api.router"}, "the address '/docs' is the stack's own"),
        ({"/schedules/of/shop": "shop_api.router"}, "the address '/schedules/of/shop' is the stack's own"),
        ({"shop": "shop_api.router"}, "the address 'shop' must begin with /"),
        ({"/a": "shop_api.router", "/b": "shop_api.router"}, "'shop_api.router' is there twice"),
        (["shop_api.router"], "must be a dict of addresses and dotted names"),
    ],
    ids=range(9),
)
def test_a_wrong_router_stops_the_start_by_the_settings_name(
    project: Path, given: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "shop_api.py").write_text(ROUTER)
    monkeypatch.syspath_prepend(project)
    monkeypatch.delitem(sys.modules, "shop_api", raising=False)
    with override_settings(STACK_API_ROUTERS=given), pytest.raises(ImproperlyConfigured) as raised:
        routers.load({"/tasks", "/schedules"})
    assert "STACK_API_ROUTERS" in str(raised.value)
    assert said in str(raised.value)


def test_a_body_beyond_the_servers_limit_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    router = Router()

    @router.post("", openapi_extra={"x-max-body": LARGEST})
    def large(request: HttpRequest) -> None:
        """Never called."""

    api = GuardedAPI(token=lambda: "", urls_namespace="large")
    api.add_router("/large", router)
    with pytest.raises(ImproperlyConfigured, match=r"large is \d+ bytes.*raise MAX_UPLOAD"):
        _ = api.urls
