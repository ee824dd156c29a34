"""The stack's own templates, in an engine of its own: a project's TEMPLATES may have Jinja2 first, or no APP_DIRS."""

from functools import cache
from pathlib import Path
from typing import Any

from django.http import HttpResponse
from django.template import Context, Engine

FOLDER = Path(__file__).resolve().parents[1] / "templates"


@cache
def _engine() -> Engine:
    return Engine(dirs=[str(FOLDER)], libraries={"static": "django.templatetags.static"})


def page(name: str, shown: dict[str, Any], policy: str) -> HttpResponse:
    """A page of the template `name` with `shown` in it, and `policy` as its Content-Security-Policy."""
    response = HttpResponse(_engine().get_template(name).render(Context(shown)))
    response["Content-Security-Policy"] = policy
    return response
