"""The routers that a project adds to the stack's API: Django's setting STACK_API_ROUTERS, as
`{"/datasets": "demo.api.router"}`. They are plain routers of django-ninja, behind the same guard as the rest.
"""

from typing import Any

import ninja
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from stack.http.guarded import DOCS, DOCUMENT

SETTING = "STACK_API_ROUTERS"
EXAMPLE = '{"/datasets": "demo.api.router"}'


def added() -> dict[str, str]:
    """The setting as it is: of each address below the API, the dotted name of its router."""
    found: Any = getattr(settings, SETTING, {})
    if not isinstance(found, dict) or not all(isinstance(part, str) for pair in found.items() for part in pair):
        raise ImproperlyConfigured(f"{SETTING} must be a dict of addresses and dotted names, as {EXAMPLE}.")
    return found


def load(taken: set[str]) -> dict[str, ninja.Router]:
    """The routers of the setting by their addresses.

    Args:
        taken: the addresses that the stack's own routers have.

    Raises:
        ImproperlyConfigured: with the entry that is wrong, and why.
    """
    routers: dict[str, ninja.Router] = {}
    taken = {*taken, f"/{DOCUMENT}", f"/{DOCS}"}
    for address, name in added().items():
        if not address.startswith("/") or address.rstrip("/") != address:
            raise ImproperlyConfigured(f"{SETTING}: the address {address!r} must begin with / and not end with it.")
        if any(address == each or address.startswith(f"{each}/") for each in taken):
            raise ImproperlyConfigured(f"{SETTING}: the address {address!r} is the stack's own; choose another.")
        try:
            router = import_string(name)
        except ImportError as problem:
            raise ImproperlyConfigured(f"{SETTING}: {address!r}: {name!r} cannot be imported: {problem}") from problem
        if not isinstance(router, ninja.Router):
            kind = type(router).__name__
            raise ImproperlyConfigured(f"{SETTING}: {address!r}: {name!r} is of the type {kind}, not a ninja.Router.")
        if router in routers.values():
            raise ImproperlyConfigured(f"{SETTING}: {name!r} is there twice; a router has one address.")
        routers[address] = router
    return routers
