"""A page of Jinja2's, and one that fails."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from jinja2 import Environment


def environment(**options: Any) -> Environment:
    """Of Django's documentation, word for word."""
    env = Environment(**options)  # noqa: S701 (Django says whether it escapes)
    env.globals.update({"static": static})
    return env


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html", {"goods": ["tea", "<b>salt</b>"]})


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("of the project's own")
