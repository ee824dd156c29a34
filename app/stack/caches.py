"""Django's CACHES where CACHE_URL is set: the cache that the stack can bring along, with a password from a file.

The rule: CACHE_URL is not set, and CACHES is the project's. It is set, and CACHES["default"] is the Redis there, by the
project's own backend where that speaks Redis, as django-redis does; the project's other caches stay. A project that
names the Redis of CACHE_URL in one of its own caches has said what it wants: its CACHES stays as it is, but for the
password, which no settings module should hold.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from stack.rules import DEFAULT, ENVIRONMENT, NOTHING, PROJECT, Env, Given, Value, origin
from stack.runtime.env import get, redis_address

# Seconds to connect and to be answered. A cache is there to be fast: one that hangs must not hold a request up.
TIMEOUT = 0.5
Caches = dict[str, dict[str, Any]]
OWN = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}  # Django's own


def rule(name: str, given: Given, env: Env, module: str) -> Value:
    """The rule of CACHES, with what to say where a cache of the project's is not used."""
    theirs = given.get(name) or {}
    value = caches(env, theirs)
    if value is theirs:
        return Value(theirs or OWN, PROJECT, module if theirs else DEFAULT)
    source = origin("CACHE_URL", env)
    lost = theirs.get("default", NOTHING)
    if lost is NOTHING or value["default"].get("LOCATION") == lost.get("LOCATION"):
        return Value(value, ENVIRONMENT, source)
    advice = f"{name}['default'] of {module} is not used, {source} decides: take CACHE_URL out to use it."
    return Value(value, ENVIRONMENT, source, {"default": lost}, advice)


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
    theirs = project.get("default", {})
    # What says how the project's own code uses its cache, and not where it is.
    one = {name: value for name, value in theirs.items() if name in KEPT}
    one |= {"BACKEND": DJANGOS, "LOCATION": _with(url, password)}
    # Sentinels are another place too, and the client that asks them knows no other.
    if any(map(_place, _locations(theirs))) and "SENTINELS" not in theirs.get("OPTIONS", {}):
        one |= {name: theirs[name] for name in ("BACKEND", "OPTIONS") if name in theirs}
    if options := TIMEOUTS.get(one["BACKEND"], {}) | one.get("OPTIONS", {}):
        one["OPTIONS"] = options
    return project | {"default": one}


DJANGOS = "django.core.cache.backends.redis.RedisCache"
KEPT = ("TIMEOUT", "KEY_PREFIX", "KEY_FUNCTION", "VERSION")
# As the options of each backend are called; another one may take none that it does not know.
TIMEOUTS: dict[str, dict[str, Any]] = {
    DJANGOS: {"socket_connect_timeout": TIMEOUT, "socket_timeout": TIMEOUT},
    "django_redis.cache.RedisCache": {"SOCKET_CONNECT_TIMEOUT": TIMEOUT, "SOCKET_TIMEOUT": TIMEOUT},
}


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
