"""The guard as part of the API: each address that it has is behind it, wherever a project mounts it."""

import json
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import ninja
from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, re_path
from ninja.openapi.urls import get_root_url
from ninja.operation import Operation, PathView

from stack.http import pages
from stack.http.database import bounded
from stack.http.errors import in_shape
from stack.http.guard import FAULTS, MULTIPART, Guard, Takes, fault
from stack.http.limits import FORM_OVERHEAD, LARGEST, MAX_BODY

DOCUMENT, DOCS = "openapi.json", "docs"
# What a call's `openapi_extra` says of the bytes that it takes at most; the API's document shows it.
MAX_BODY_OF_CALL = "x-max-body"
# The styles of Swagger's page hold pictures as data: URLs.
DOCS_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class GuardedAPI(ninja.NinjaAPI):
    """A NinjaAPI whose addresses are all behind a guard: those of plain routers and unknown ones too.

    Its OpenAPI document and its docs page need no token: they show how this software is called, and no data.
    """

    def __init__(self, *, token: Callable[[], str], **options: Any):
        super().__init__(openapi_url=None, docs_url=None, **options)
        self.guard = Guard(token)
        for kind in FAULTS:
            self.add_exception_handler(kind, fault)
        self._document = lru_cache(maxsize=8)(self._render_document)

    def _get_urls(self) -> list[Any]:
        patterns = [
            self._around(path(DOCUMENT, self._show_document, name="openapi-json"), public=True),
            self._around(path(DOCS, self._show_docs, name="openapi-view"), public=True),
        ]
        for bound in self._get_bound_routers():
            owners = [view for view in bound.path_operations.values() for _ in view.operations]
            for pattern, owner in zip(bound.urls_paths(bound.prefix), owners, strict=True):
                patterns.append(self._around(pattern, owner))
        return [*patterns, self._around(get_root_url(self)), self._around(re_path("", _unknown))]

    def _around(self, pattern: URLPattern, owner: PathView | None = None, public: bool = False) -> URLPattern:
        """The pattern with the guard around its view."""
        view = pattern.callback
        bodies = {
            method: _takes(operation)
            for operation in (owner.operations if owner else ())
            for method in operation.methods
        }

        def guard(request: HttpRequest) -> HttpResponse | None:
            if public and request.method in ("GET", "HEAD"):
                return None
            refused = self.guard.refuse(request, bodies.get(request.method or "", Takes()))
            return refused or (HttpResponseNotAllowed(["GET", "HEAD"]) if public else None)

        guarded: Any
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                try:
                    with bounded():
                        return in_shape(request, guard(request) or await view(request, *args, **kwargs))
                except FAULTS as problem:
                    return in_shape(request, fault(request, problem))
        else:

            @wraps(view)
            def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                try:
                    with bounded():
                        return in_shape(request, guard(request) or view(request, *args, **kwargs))
                except FAULTS as problem:
                    return in_shape(request, fault(request, problem))

        guarded.guard = guard
        if public:
            guarded._non_atomic_requests = set(connections)  # they show no data
        # The check of the Origin stands for Django's own, which would read the body of a form to find its token.
        guarded.csrf_exempt = True
        guarded.login_required = False  # nor is the token a login of Django's (LoginRequiredMiddleware)
        pattern.callback = guarded
        return pattern

    def _show_document(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        prefix = request.path.removesuffix(DOCUMENT)
        return HttpResponse(self._document(prefix), content_type="application/json")

    def _render_document(self, prefix: str) -> bytes:
        document = self.get_openapi_schema(path_prefix=prefix)
        if self.guard.token:
            scheme = {"type": "http", "scheme": "bearer", "description": "The value of API_TOKEN on the server."}
            document["components"].setdefault("securitySchemes", {})["token"] = scheme
            document["security"] = [{"token": []}]
        return json.dumps(document, cls=ninja.responses.NinjaJSONEncoder).encode()

    def _show_docs(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        # The document is named without its folder, and so found wherever the page is.
        response = pages.page("stack/docs.html", {"title": self.title, "document": DOCUMENT}, DOCS_POLICY)
        response["Cache-Control"] = "no-cache"
        return response


def _unknown(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def _takes(operation: Operation) -> Takes:
    """The body that a call takes: a form where it has a File or a Form among its arguments, else JSON.

    Raises:
        ImproperlyConfigured: its `x-max-body` is no number of bytes, or more than the server takes.
    """
    limit = (operation.openapi_extra or {}).get(MAX_BODY_OF_CALL, MAX_BODY)
    view = f"{operation.view_func.__module__}.{operation.view_func.__name__}"
    if not isinstance(limit, int) or limit < 0:
        raise ImproperlyConfigured(f"{MAX_BODY_OF_CALL} of {view} must be a number of bytes, not {limit!r}.")
    if limit + FORM_OVERHEAD > LARGEST:
        raise ImproperlyConfigured(
            f"{MAX_BODY_OF_CALL} of {view} is {limit} bytes, and the server takes {LARGEST}: raise MAX_UPLOAD (in MiB)."
        )
    sources = {model.__ninja_param_source__ for model in operation.models}
    if "file" in sources:
        return Takes(limit, (MULTIPART,))
    return Takes(limit, (MULTIPART, "application/x-www-form-urlencoded") if "form" in sources else Takes().kinds)


class Router(ninja.Router):
    """A router whose calls only a GuardedAPI serves.

    Raises:
        ImproperlyConfigured: when the URLs of another API are made, which is at the start of the web role.
    """

    def add_api_operation(self, path: str, *args: Any, **kwargs: Any) -> Any:
        self.path_operations.setdefault(path, _Address())
        return super().add_api_operation(path, *args, **kwargs)


class _Address(PathView):
    def clone(self) -> PathView:
        cloned = _Address()
        vars(cloned).update(vars(super().clone()))
        return cloned

    def get_view(self) -> Callable[..., Any]:
        first = self.operations[0]
        if not isinstance(first.api, GuardedAPI):
            raise ImproperlyConfigured(
                f"The calls of {first.view_func.__module__} would be open to everybody: the API {first.api.title!r} "
                "has no guard. Name your routers in STACK_API_ROUTERS, or make yours a stack.http.guarded.GuardedAPI."
            )
        return super().get_view()
