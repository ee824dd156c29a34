"""The stack's page, and its version."""

from collections.abc import Callable
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import get_script_prefix
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from stack import __version__
from stack.http import pages
from stack.http.places import address_of
from stack.http.routers import added
from stack.runtime.env import get

# Forms are sent by the page's script and never by the browser itself.
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _open(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A view that changes nothing and shows no data: neither a form's token nor a login is asked for.

    The check of the former would read the whole body of a form; a project may demand the latter of every view.
    """
    opened: Any = csrf_exempt(require_safe(view))
    opened.login_required = False
    opened._non_atomic_requests = set(connections)  # ATOMIC_REQUESTS would need the database for a page without data
    opened.is_place = True  # see places.py
    return opened


@_open
def version(request: HttpRequest) -> HttpResponse:
    """Name, version and git commit of what runs."""
    commit = get("GIT_COMMIT", settings.STACK_ENV)
    return JsonResponse({"name": "django-celery-stack", "version": __version__, "commit": commit})


@_open
def page(request: HttpRequest) -> HttpResponse:
    """Submit jobs and watch them."""
    host, port = get("FLOWER_BIND", settings.STACK_ENV)
    local = request.get_host().rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
    shown = {
        "flower_url": f"http://{host}:{port}/" if local else "",
        "time_zone": current_app.timezone,
        "api": address_of(request, "api:api-root"),
        "version": address_of(request, "version"),
        "readyz": f"{get_script_prefix()}readyz",  # the server's, whatever the URLconf says: see Probes
        "uploads": "/datasets" in added(),
    }
    return pages.page("stack/index.html", shown, POLICY)
