"""Django's CACHES where CACHE_URL is set: the cache that the stack can bring along, with a password from a file.

The rule: CACHE_URL is not set, and CACHES is the project's. It is set, and CACHES["default"] is the Redis there; the
project's other caches stay. A project that names the Redis of CACHE_URL in one of its own caches has said what it
wants: its CACHES stays as it is, but for the password, which no settings module should hold.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from stack.runtime.env import get, redis_address

# Seconds to connect and to be answered. A cache is there to be fast: one that hangs must not hold a request up.
TIMEOUT = 0.5
Caches = dict[str, dict[str, Any]]


def caches(env: Mapping[str, str], project: Caches) -> Caches:
    """The CACHES that hold.

    Args:
        env: mapping of environment variables.
        project: CACHES of the project, empty where it has none.

    Returns:
        dict: a new one; `project` is not changed.

    Raises:
        BadValue: CACHE_URL or its password cannot be used.
    """
    url = get("CACHE_URL", env)
    if not url:
        return project
    password = get("CACHE_PASSWORD", env)
    _, _, *place, _ = redis_address("CACHE_URL", url)
    if any(_place(location) == place for cache in project.values() for location in _locations(cache)):
        return {alias: _given(cache, place, password) for alias, cache in project.items()}
    ours = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": _with(url, password),
        "OPTIONS": {"socket_connect_timeout": TIMEOUT, "socket_timeout": TIMEOUT},
    }
    # What says how the project's own code uses its cache, and not where it is.
    kept = {name: value for name, value in project.get("default", {}).items() if name in KEPT}
    return project | {"default": ours | kept}


KEPT = ("TIMEOUT", "KEY_PREFIX", "KEY_FUNCTION", "VERSION")


def _locations(cache: dict[str, Any]) -> list[str]:
    """The addresses of one cache, as Django and django-redis take them: a list, or a text with commas or semicolons."""
    location = cache.get("LOCATION", "")
    found = location.replace(";", ",").split(",") if isinstance(location, str) else location
    return [text.strip() for text in found if isinstance(text, str)]


def _place(url: str) -> list[Any] | None:
    """Host and port of a Redis's address, or None for what is none."""
    try:
        parts = urlsplit(url)
        return [parts.hostname, parts.port or 6379] if parts.scheme in ("redis", "rediss") else None
    except ValueError:
        return None


def _given(cache: dict[str, Any], place: list[Any], password: str) -> dict[str, Any]:
    """One cache of the project with the password in each of its addresses that is at `place`."""
    locations = _locations(cache)
    if place not in map(_place, locations):
        return cache
    given = [_with(url, password) if _place(url) == place else url for url in locations]
    return cache | {"LOCATION": given[0] if len(given) == 1 else given}


def _with(url: str, password: str) -> str:
    parts = urlsplit(url)
    if not password or parts.password:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))
