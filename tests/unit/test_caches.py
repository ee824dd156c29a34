"""CACHE_URL and the project's own CACHES: which one holds."""

from pathlib import Path
from typing import Any

import pytest

from stack.caches import TIMEOUT, caches
from stack.runtime.env import BadValue

URL = {"CACHE_URL": "redis://cache:6379/0", "CACHE_PASSWORD": "p/w"}
LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "here"}


def test_without_a_cache_url_the_projects_caches_hold() -> None:
    assert caches({}, {}) == {}
    assert caches({"CACHE_PASSWORD": "p"}, {"default": LOCAL}) == {"default": LOCAL}


def test_a_cache_url_is_the_default_cache_and_a_hung_one_is_left_soon() -> None:
    found = caches(URL, {"default": LOCAL | {"KEY_PREFIX": "shop", "TIMEOUT": 60}, "sessions": LOCAL})

    assert found["default"] == {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://:p%2Fw@cache:6379/0",
        "OPTIONS": {"socket_connect_timeout": TIMEOUT, "socket_timeout": TIMEOUT},
        "KEY_PREFIX": "shop",
        "TIMEOUT": 60,
    }
    assert found["sessions"] == LOCAL
    assert TIMEOUT <= 1


def test_a_cache_url_says_where_and_the_projects_own_backend_for_redis_how() -> None:
    """`get_redis_connection("default")` of django-redis works with its own backend alone."""
    own = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": ["redis://127.0.0.1:6379/1", "redis://copy:6379/1"]}
    options = {"CLIENT_CLASS": "django_redis.client.DefaultClient", "SOCKET_TIMEOUT": 3}

    assert caches(URL, {"default": own | {"OPTIONS": options}})["default"] == {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://:p%2Fw@cache:6379/0",
        "OPTIONS": options | {"SOCKET_CONNECT_TIMEOUT": TIMEOUT},
    }
    # Of Sentinels neither the place nor the client is right there.
    sentinels = {"CLIENT_CLASS": "django_redis.client.SentinelClient", "SENTINELS": [("sentinel", 26379)]}
    beside = caches(URL, {"default": own | {"LOCATION": "redis://mymaster/0", "OPTIONS": sentinels}})
    assert beside == caches(URL, {})
    # One whose options nobody knows gets none of them.
    other = {"BACKEND": "shop.caches.Redis", "LOCATION": "rediss://127.0.0.1/1"}
    assert caches(URL, {"default": other})["default"] == other | {"LOCATION": "redis://:p%2Fw@cache:6379/0"}


@pytest.mark.parametrize(
    ("location", "given"),
    [
        ("redis://cache:6379/0", "redis://:p%2Fw@cache:6379/0"),
        ("redis://cache/1", "redis://:p%2Fw@cache/1"),
        ("redis://me@cache:6379/0", "redis://me:p%2Fw@cache:6379/0"),
        ("redis://:mine@cache:6379/0", "redis://:mine@cache:6379/0"),
        (["redis://cache:6379/0", "redis://copy:6379/0"], ["redis://:p%2Fw@cache:6379/0", "redis://copy:6379/0"]),
    ],
)
def test_a_project_that_names_that_redis_keeps_its_caches(location: Any, given: Any) -> None:
    """A project's own words for the same server, such as django-redis and its options: only the password is missing."""
    own = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": {"MAX_ENTRIES": 5}}
    project = {"default": LOCAL, "shared": own}

    assert caches(URL, project) == {"default": LOCAL, "shared": own | {"LOCATION": given}}
    assert project["shared"]["LOCATION"] == location, "the project's own is not changed"


def test_a_cache_that_asks_for_no_password_is_sent_none() -> None:
    assert caches(URL | {"CACHE_PASSWORD": ""}, {})["default"]["LOCATION"] == "redis://cache:6379/0"


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"CACHE_URL": "redis://:hidden@cache:6379/0"}, "CACHE_URL holds a password: .* CACHE_PASSWORD_FILE"),
        ({"CACHE_URL": "memcached://cache:11211"}, "CACHE_URL='memcached://cache:11211': it must be redis://"),
        ({"CACHE_URL": "redis://cache:port/0"}, "CACHE_URL='redis://cache:port/0': it must be redis://"),
        (URL | {"CACHE_PASSWORD_FILE": "/nowhere"}, "CACHE_PASSWORD_FILE='/nowhere' cannot be read"),
    ],
)
def test_an_address_that_cannot_work_is_named(variables: dict[str, str], why: str) -> None:
    with pytest.raises(BadValue, match=why) as raised:
        caches(variables, {})
    assert "hidden" not in str(raised.value)


def test_the_cache_forgets_and_the_redis_of_the_tasks_does_not() -> None:
    k8s = Path(__file__).resolve().parents[2] / "k8s"
    conf = (k8s / "components/cache/cache.conf").read_text()
    assert "\nmaxmemory-policy allkeys-lru\n" in conf
    assert "\nappendonly no\n" in conf
    assert 'save ""\n' in conf
    assert "\nmaxmemory-policy noeviction\n" in (k8s / "base/redis.conf").read_text()
