"""Its addresses."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from .tasks import ask


def show(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(ask()))


urlpatterns = [path("show", show)]
