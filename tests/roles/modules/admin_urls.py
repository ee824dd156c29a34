"""The project's addresses, Django's admin, and what a view sees of its caller."""

from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.urls import path

from stack.urls import urlpatterns as of_the_project


def seen(request: HttpRequest) -> JsonResponse:
    """What a project's own code reads: its caller's address, whether it came by TLS, all headers."""
    told = {"address": request.META["REMOTE_ADDR"], "secure": request.is_secure(), "url": request.build_absolute_uri()}
    return JsonResponse(told | {"headers": {name.lower(): value for name, value in request.headers.items()}})


urlpatterns = [path("admin/", admin.site.urls), path("seen", seen), *of_the_project]
