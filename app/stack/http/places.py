"""Where the stack's own addresses are, wherever a project's URLconf puts them.

They are the patterns of stack/urls.py. A project may include those anywhere, in namespaces of its own too; they are
found again by the view of the version. Other programs learn it from the Link of /livez: stack/ops/web.py.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, URLResolver, get_resolver, get_script_prefix, get_urlconf, reverse

API = "api"  # the namespace of the API within the stack's own


def address_of(request: HttpRequest, name: str, **kwargs: Any) -> str:
    """The path of the address `name`, SCRIPT_NAME included, beside the one that was asked.

    Raises:
        NoReverseMatch: the URLconf has the API there, and not this address.
    """
    around = list(request.resolver_match.namespaces) if request.resolver_match else []
    if around and around[-1] == API:
        around.pop()
    return reverse(":".join([*around, name]), kwargs=kwargs)


def api_root() -> str | None:
    """The path of the API as the server gets it, without SCRIPT_NAME; None where the URLconf does not have it."""
    around = _around(get_urlconf() or settings.ROOT_URLCONF)
    if around is not None:
        with suppress(NoReverseMatch):
            path = reverse(":".join([*around, API, "api-root"]))
            return "/" + path.removeprefix(get_script_prefix())
    return None


@lru_cache(maxsize=8)
def _around(urlconf: Any) -> tuple[str, ...] | None:
    return namespaces(get_resolver(urlconf).url_patterns)


def namespaces(patterns: Iterable[Any]) -> tuple[str, ...] | None:
    """The namespaces around the stack's addresses in `patterns`, or None where they are not there."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found = namespaces(pattern.url_patterns)
            if found is not None:
                return (pattern.namespace, *found) if pattern.namespace else found
        elif getattr(pattern.callback, "is_place", False):
            return ()
    return None
