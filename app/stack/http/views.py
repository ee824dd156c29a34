"""The page, and the three addresses that machines ask: /livez, /readyz, /version."""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import get_script_prefix
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from stack import __version__
from stack.broker.connections import client
from stack.http.places import address_of
from stack.runtime.env import get

READY_WITHIN = 0.9  # seconds; a prober that gives /readyz one second must get its answer
# Forms are sent by the page's script and never by the browser itself.
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="readyz")
_last: dict[str, Future[Any]] = {}


def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process serves; asks nothing outside it."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """200, or 503 naming what is missing. Broker and results are one Redis here and fail together."""
    checks = {"redis": lambda: client().ping(), "database": _database}
    for name, check in checks.items():
        # A check that still hangs from last time says "missing" and does not pile up threads.
        if name not in _last or _last[name].done():
            _last[name] = _pool.submit(check)
    asked = dict(_last)
    wait(asked.values(), timeout=READY_WITHIN)
    failed = [name for name in checks if not asked[name].done() or asked[name].exception()]
    missing = [part for name in failed for part in (("broker", "results") if name == "redis" else (name,))]
    if missing:
        return JsonResponse({"status": "unavailable", "missing": missing}, status=503)
    return JsonResponse({"status": "ok", "missing": []})


def _database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


# Exempt, as they change nothing: the check would read the whole body of a form to find its token.
@csrf_exempt
@require_safe
def version(request: HttpRequest) -> HttpResponse:
    """Name, version and git commit of what runs."""
    commit = get("GIT_COMMIT", settings.ENV)
    return JsonResponse({"name": "django-celery-stack", "version": __version__, "commit": commit})


@csrf_exempt
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Submit jobs and watch them."""
    host, port = get("FLOWER_BIND", settings.ENV)
    local = request.get_host().rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
    shown = {
        "flower_url": f"http://{host}:{port}/" if local else "",
        "time_zone": current_app.timezone,
        "api": address_of(request, "api:api-root"),
        "version": address_of(request, "version"),
        "readyz": f"{get_script_prefix()}readyz",  # the server's, whatever the URLconf says: see Probes
    }
    response = render(request, "stack/index.html", shown)
    response["Content-Security-Policy"] = POLICY
    return response
