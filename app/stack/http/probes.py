"""The two addresses that machines ask: /livez and /readyz."""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from stack.broker.connections import client
from stack.http.places import api_root

READY_WITHIN = 0.9  # seconds; a prober that gives /readyz one second must get its answer
_pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="readyz")
_last: dict[str, Future[Any]] = {}


def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process serves; asks nothing outside it. Its Link (RFC 8631) says where the API's document is."""
    response = JsonResponse({"status": "ok"})
    if place := api_root():
        response["Link"] = f'<{place}openapi.json>; rel="service-desc"'
    return response


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
        return JsonResponse({"status": "unavailable", "missing": missing}, status=503, headers={"Retry-After": "5"})
    return JsonResponse({"status": "ok", "missing": []})


PROBES = {"/livez": livez, "/readyz": readyz}  # by the path that the server gets


def _database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()
