"""`service.py settings`: what every setting is, who decided on it, and what the project says where that is not used.

With --json, where things are as well: other tools ask here, and need to know nothing of the project.
"""

import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from stack.broker.masks import MASK, masked
from stack.rules import DEFAULT, NOTHING, Laid, Value

_SECRET = re.compile(
    "SECRET|TOKEN|PASS(?!IVE)|PRIVATE|SIGNATURE|CREDENTIAL|API_?KEY|(?<!ROUTING)_KEYS?$|^KEYS?$|_AUTH$|_CREDS?$|SALT|DSN",
    re.IGNORECASE,
)
SHORTEST = 8  # letters of a text that is looked for in others: a shorter one may stand there by chance
# Names of classes and rules, and no secrets.
_OPEN = ("PASSWORD_HASHERS", "AUTH_PASSWORD_VALIDATORS")


def explain(words: list[str]) -> int:
    """Print the settings that `words` name, all without names; `--json` among them prints one JSON object.

    Returns:
        int: the exit code: 1 where there is no setting of a name.
    """
    import django

    from stack.runtime.env import APP_DIR, environment
    from stack.runtime.packages import unread
    from stack.runtime.project import project

    if why := unread(project(environment()), APP_DIR):
        print(f"service: {why}", file=sys.stderr)  # before a package that is not there ends this in a traceback
    # In the project they may be written in small letters.
    names = [word.upper() for word in words if word != "--json"]
    try:
        from stack.celery import not_found  # before Django reads its settings, as a project's own package does it

        django.setup()
    except ImproperlyConfigured as reason:
        print(f"service: {reason}", file=sys.stderr)
        return 1
    if text := not_found():
        print(f"warning: {text}", file=sys.stderr)
    decided = everything()
    laid = untouched(names) | decided
    if unknown := [name for name in names if name not in laid]:
        print(f"service: no setting of the project, Django or Celery is called {', '.join(unknown)}.", file=sys.stderr)
        return 1
    chosen = {name: laid[name] for name in (names or sorted(laid))}
    if "--json" in words:
        print(json.dumps(places() | {"settings": {name: fields(name, chosen[name]) for name in chosen}}, default=repr))
        return 0
    lines = []
    for name, value in chosen.items():
        lines += [f"{name} = {hidden(name, value.value)!r}", f"    {value.group}: {value.source}"]
        if value.lost is not NOTHING:
            lines += [f"    not used: {hidden(name, value.lost)!r}", *([f"    {value.advice}"] if value.advice else ())]
    print("\n".join(lines))
    return 0


def everything() -> Laid:
    """Every setting of Django and Celery that the project or the stack sets, in a process that has both."""
    from stack import celery, celery_layers, settings

    return settings.laid | celery_layers.laid(celery.app, settings.STACK_ENV, settings.STACK_PROJECT.settings)


def untouched(names: list[str]) -> Laid:
    """Django's and Celery's own defaults for `names`, once the app has read its settings."""
    from celery.app.defaults import SETTING_KEYS
    from django.conf import global_settings

    from stack.celery import app

    found: Laid = {}
    for name in names:
        if name.isupper() and hasattr(global_settings, name):
            found[name] = Value(getattr(global_settings, name), "django", DEFAULT)
        if (key := name.removeprefix((app.conf.prefix or "").upper()).lower()) in SETTING_KEYS:
            found[name] = Value(app.conf[key], "celery", DEFAULT)
    return found


def places() -> dict[str, Any]:
    """Where the project and its parts are: folders, and the paths of page and API by the URLconf.

    A stack that runs is asked itself: stack/ops/web.py.
    """
    from django.conf import settings

    from stack.http.places import api_root

    api = api_root() or ""
    return {
        "project": settings.STACK_PROJECT._asdict(),
        "page": api.removesuffix("api/"),
        "api": api,
        "static": {"url": settings.STATIC_URL, "root": str(settings.STATIC_ROOT)},
        "media": {"url": settings.MEDIA_URL, "root": str(settings.MEDIA_ROOT)},
    }


def fields(name: str, value: Value) -> dict[str, Any]:
    """One setting for a program."""
    found = {"value": hidden(name, value.value), "group": value.group, "source": value.source}
    return found if value.lost is NOTHING else found | {"lost": hidden(name, value.lost), "advice": value.advice}


def hidden(name: str, value: Any) -> Any:
    """`value` without secrets: what stands under a name of one, and passwords within URLs."""
    if isinstance(value, Mapping):  # a project may have os.environ among its settings
        return {str(key): hidden(name if _is_secret(name) else str(key), each) for key, each in value.items()}
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and _is_secret(value[0]):
        return [value[0], hidden(value[0], value[1])]
    if isinstance(value, list | tuple | set | frozenset):
        return [hidden(name, each) for each in value]
    if _is_secret(name) and isinstance(value, str | bytes) and value:
        return MASK
    if isinstance(value, str):
        for secret in _secrets():
            value = value.replace(secret, MASK)
    return masked(value)


@cache
def _secrets() -> list[str]:
    """What the environment and its files have under names of secrets: a project may call its setting otherwise."""
    from stack.runtime.projectenv import project_variables
    from stack.settings import STACK_ENV, STACK_ROLE

    found = STACK_ENV | project_variables(STACK_ROLE, STACK_ENV)
    texts = {text for name, text in found.items() if _is_secret(name) and not name.endswith("_FILE")}
    return sorted((text for text in texts if len(text) >= SHORTEST), key=len, reverse=True)


def _is_secret(name: str) -> bool:
    return name not in _OPEN and bool(_SECRET.search(name))
