"""A project's own addresses, two of which are named like the stack's."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


def own(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the shop's own")


urlpatterns = [path("", own), path("api/tasks", own)]
