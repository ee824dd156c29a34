"""What must be true before a role serves. The Django app of the stack says it; the roles' own code asks here."""

from collections.abc import Callable

checks: list[Callable[[], None]] = []


def verify() -> None:
    """Stop this process where something would lose tasks or leave the API open.

    Raises:
        django.core.exceptions.ImproperlyConfigured: with each error's text, which names the setting and the fix.
    """
    for check in checks:
        check()
