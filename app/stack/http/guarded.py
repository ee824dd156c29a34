"""The guard as part of the API: each address that it has is behind it, wherever a project mounts it."""

import json
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

import ninja
from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path, re_path
from ninja.openapi.urls import get_root_url
from ninja.operation import PathView

from stack.http.guard import FAULTS, Guard, fault
from stack.http.middleware import in_shape

View = TypeVar("View", bound=Callable[..., Any])
DOCUMENT, DOCS = "openapi.json", "docs"
# The styles of Swagger's page hold pictures as data: URLs.
DOCS_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def takes_upload(limit: int) -> Callable[[View], View]:
    """Mark a call as one that takes a file, in multipart, of at most `limit` bytes; others take 1 MiB of JSON."""

    def mark(view: View) -> View:
        view.upload_limit = limit  # type: ignore[attr-defined]
        return view

    return mark


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
        uploads = {
            method: limit
            for operation in (owner.operations if owner else ())
            if (limit := getattr(operation.view_func, "upload_limit", None)) is not None
            for method in operation.methods
        }

        def guard(request: HttpRequest) -> HttpResponse | None:
            if public and request.method in ("GET", "HEAD"):
                return None
            refused = self.guard.refuse(request, uploads.get(request.method or ""))
            return refused or (HttpResponseNotAllowed(["GET", "HEAD"]) if public else None)

        guarded: Any
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                try:
                    return in_shape(request, guard(request) or await view(request, *args, **kwargs))
                except FAULTS as problem:
                    return in_shape(request, fault(request, problem))
        else:

            @wraps(view)
            def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                try:
                    return in_shape(request, guard(request) or view(request, *args, **kwargs))
                except FAULTS as problem:
                    return in_shape(request, fault(request, problem))

        guarded.guard = guard
        # The check of the Origin stands for Django's own, which would read the body of a form to find its token.
        guarded.csrf_exempt = True
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
        response = render(request, "stack/docs.html", {"title": self.title, "document": DOCUMENT})
        response["Content-Security-Policy"] = DOCS_POLICY
        response["Cache-Control"] = "no-cache"
        return response


def _unknown(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


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
                "has no guard. Use stack.http.api.api, or make yours a stack.http.guarded.GuardedAPI."
            )
        return super().get_view()
