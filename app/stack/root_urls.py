"""Every address of the web role: the project's, and the stack's at /stack/ unless the project includes them itself.

The patterns of the project are taken over one by one: an `include()` of them would break `i18n_patterns`, which must be
at the root. The stack's come first, as the last of a project's may match everything.
"""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.urls import Resolver404, include, path

from stack.http.places import namespaces

PREFIX = "stack/"

_project: Any = settings.PROJECT_URLCONF or []  # a project without web pages may have none
if isinstance(_project, str):
    _project = import_module(_project)
_patterns: list[Any] = list(getattr(_project, "urlpatterns", _project))

_included = namespaces(_patterns) is not None
urlpatterns = _patterns if _included else [path(PREFIX, include("stack.urls")), *_patterns]

# The project's own error pages: Django looks for these names in the root URLconf.
for _name in ("handler400", "handler403", "handler404", "handler500"):
    if hasattr(_project, _name):
        globals()[_name] = getattr(_project, _name)


def covered() -> list[str]:
    """Addresses of the project's own below PREFIX that nobody reaches, as the stack's are there."""
    found = []
    for address in () if _included else (PREFIX, f"{PREFIX}version", f"{PREFIX}api/"):
        for pattern in _patterns:
            try:
                match = pattern.resolve(address)
            except Resolver404:
                continue
            # One that takes every address never meant this one.
            if match and match.route.removeprefix("^").startswith(PREFIX):
                found.append(f"/{address}")
                break
    return found
