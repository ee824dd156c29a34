"""Where the stack's own addresses are, wherever a project's URLconf puts them."""

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


def address_of(request: HttpRequest, name: str, **kwargs: Any) -> str:
    """The path of the address `name`, SCRIPT_NAME included; a project may include ours below a namespace of its own.

    Raises:
        NoReverseMatch: no URLconf has it.
    """
    match = request.resolver_match
    around = match.namespaces if match else []
    for depth in range(len(around) + 1):
        try:
            return reverse(":".join([*around[:depth], name]), kwargs=kwargs)
        except NoReverseMatch:
            if depth == len(around):
                raise
    raise AssertionError("the loop ends by return or raise")
