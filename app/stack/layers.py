"""Who decides on each setting: the one table of what lies on top of the project's settings, and how it is laid.

A setting that is not named here is the project's. `python app/service.py settings` prints what came from where.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from stack import caches, merged
from stack.runtime import logs
from stack.runtime.env import environment, get
from stack.runtime.project import Project

PROJECT, ENVIRONMENT, STACK, MERGED = "project", "environment", "stack", "merged"
DEFAULT = "default"  # the source of what neither the environment nor the project says
NOTHING: Any = object()
INSECURE = "django-insecure-"
# Where `make up`, compose and Kubernetes put the key that they made, below RUN_DIR on a machine.
MADE = "/run/secrets/"


class Value(NamedTuple):
    """One setting as the roles have it."""

    value: Any
    group: str
    source: str  # the module, variable or file that decided
    lost: Any = NOTHING  # what the project says, where that is not used
    advice: str = ""  # what to do about it, as a sentence


Given = dict[str, Any]
Env = dict[str, str]
Laid = dict[str, Value]


def lay(given: Given, env: Env, project: Project) -> Laid:
    """Every setting of the roles, with its origin.

    Args:
        given: the names and values of the project's settings module.
        env: mapping of environment variables.
        project: the project.

    Raises:
        BadValue: a variable holds what it does not accept, or there is no SECRET_KEY.
    """
    module = project.settings
    laid: Laid = {name: Value(value, PROJECT, module) for name, value in given.items()}
    for name, make in TABLE.items():
        laid[name] = make(name, given, env, module)
    return laid | _mail(given, env, module)


# ---- The three groups ---------------------------------------------------------------------------


def _variable(variable: str) -> Callable[..., Value]:
    """The environment's: the variable where it is set, else the project's value, else the variable's default."""

    def make(name: str, given: Given, env: Env, module: str) -> Value:
        ours = get(variable, env)
        if env.get(variable):
            return _over(name, ours, ENVIRONMENT, origin(variable, env), given, module, f"take {variable} out")
        # An empty one says nothing: `startproject` writes ALLOWED_HOSTS = [].
        if given.get(name) in (None, "", [], ()):
            return Value(ours, ENVIRONMENT, DEFAULT)
        return Value(given[name], ENVIRONMENT, module)

    return make


def _default(value: Any) -> Callable[..., Value]:
    """The project's, with a default of the stack where it says nothing."""

    def make(name: str, given: Given, env: Env, module: str) -> Value:
        if name in given:
            return Value(given[name], PROJECT, module)
        return Value(value(given, env) if callable(value) else value, PROJECT, DEFAULT)

    return make


def _merge(merge: Callable[..., Any], default: Any) -> Callable[..., Value]:
    """The project's and the stack's together."""

    def make(name: str, given: Given, env: Env, module: str) -> Value:
        both = merge(given.get(name, default))
        if name in given and both == given[name]:
            return Value(both, PROJECT, module)
        return Value(both, MERGED, f"{module} + stack" if name in given else STACK)

    return make


def _stacks(value: Any) -> Callable[..., Value]:
    """The stack's, which keeps the project's inside its own."""

    def make(name: str, given: Given, env: Env, module: str) -> Value:
        return Value(value, STACK, STACK)

    return make


def _kept(theirs: str) -> Callable[..., Value]:
    """The project's value of the setting `theirs`, which the stack's takes in."""

    def make(name: str, given: Given, env: Env, module: str) -> Value:
        return Value(given.get(theirs) or "", PROJECT, module)

    return make


def _over(name: str, ours: Any, group: str, source: str, given: Given, module: str, fix: str) -> Value:
    """`ours`, and what to say where the project has another value."""
    theirs = given.get(name, NOTHING)
    if theirs is NOTHING or theirs in (ours, None, "", [], (), {}):
        return Value(ours, group, source)
    return Value(
        ours, group, source, theirs, f"{name} of {module} is not used, {decider(source)} decides: {fix} to use it."
    )


def decider(source: str) -> str:
    """A source as the subject of a sentence."""
    return f"the {source}" if source in (STACK, DEFAULT) else source


def origin(variable: str, env: Env) -> str:
    """Where a variable was set, for people."""
    name = variable if env.get(variable) else f"{variable}_FILE"
    in_file = environment(base={}).get(name)
    return f"{name} in .env" if in_file and in_file == env.get(name) else name


# ---- What needs more than a rule ----------------------------------------------------------------


def _secret_key(name: str, given: Given, env: Env, module: str) -> Value:
    """A key that somebody chose wins over the project's, and the project's own over one that was made for it.

    One that `startproject` wrote is in no hands but everybody's: it never signs anything here.
    """
    theirs, file = given.get(name) or "", env.get("SECRET_KEY_FILE", "")
    own = bool(theirs) and not str(theirs).startswith(INSECURE)
    chosen = env.get("SECRET_KEY") or (file and not file.startswith(MADE))
    if own and not chosen:
        return Value(theirs, ENVIRONMENT, module)
    key = get(name, env)
    source = origin(name, env) if chosen or file else "the key that `make up` made"
    if own:
        return _over(name, key, ENVIRONMENT, source, given, module, "take the variable out")
    lost = f"{name} of {module} is not used, {source} is: it begins with {INSECURE!r}, so it is no secret."
    return Value(key, ENVIRONMENT, source, theirs or NOTHING, lost if theirs else "")


def _debug(name: str, given: Given, env: Env, module: str) -> Value:
    """On where the environment says so, and never because `startproject` wrote it."""
    ours = get("DEBUG", env)
    if ours or not given.get(name):
        return _variable("DEBUG")(name, given, env, module)
    advice = f"DEBUG = {given[name]!r} of {module} is not used: set DEBUG=true in .env on a machine for development."
    return Value(ours, ENVIRONMENT, origin("DEBUG", env) if env.get("DEBUG") else DEFAULT, given[name], advice)


def _hosts(name: str, given: Given, env: Env, module: str) -> Value:
    """With the names of this machine, by which `make up` and the smoke test call the web role."""
    found = _variable(name)(name, given, env, module)
    if found.source != module or isinstance(found.value, str):  # Django has a word on the latter
        return found
    local = [host for host in get(name, {}) if host not in found.value]
    return found._replace(value=[*found.value, *local])


# What a database of the project's keeps when a URL says where it is.
KEPT = ["ATOMIC_REQUESTS", "AUTOCOMMIT", "CONN_MAX_AGE", "CONN_HEALTH_CHECKS", "TIME_ZONE", "TEST"]
KEPT += ["DISABLE_SERVER_SIDE_CURSORS"]


def _databases(name: str, given: Given, env: Env, module: str) -> Value:
    theirs = {alias: dict(database) for alias, database in (given.get(name) or {}).items()}
    default = theirs.get("default") or {}
    url, password = get("DATABASE_URL", env), get("DATABASE_PASSWORD", env)
    value = Value(theirs, ENVIRONMENT, module)
    if url:
        merged_one = {key: default[key] for key in KEPT if key in default} | url
        if _vendor(default) == _vendor(url):
            # Its own flavour of the same database, as PostGIS.
            merged_one["ENGINE"] = default["ENGINE"]
            merged_one["OPTIONS"] = default.get("OPTIONS", {}) | url.get("OPTIONS", {})
        value = Value(theirs, ENVIRONMENT, origin("DATABASE_URL", env))
        places = [(each.get("ENGINE"), str(each.get("NAME")), each.get("HOST") or "") for each in (default, merged_one)]
        if default and places[0] != places[1]:
            advice = (
                f"{name}['default'] of {module} is not used, {value.source} decides: take DATABASE_URL out to use it."
            )
            value = value._replace(lost={"default": default}, advice=advice)
        theirs["default"] = merged_one
    elif not default:
        # No URL, in which the spaces and backslashes of a path would have to be escaped.
        theirs["default"] = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(get("RUN_DIR", env), "db.sqlite3"),
        }
        value = value._replace(source=DEFAULT)
    if password and (url or (_vendor(default) == "postgresql" and not default.get("PASSWORD"))):
        theirs["default"]["PASSWORD"] = password
    for database in theirs.values():
        if patience := PATIENCE.get(_vendor(database)):
            database["OPTIONS"] = patience | database.get("OPTIONS", {})
    return value


PATIENCE: dict[str, dict[str, Any]] = {
    # A server that hangs must not hold a request longer than one that is down. Only the web waits for so short a time
    # (stack/http/database.py); elsewhere psycopg makes two seconds of it.
    "postgresql": {"connect_timeout": 1},
    # Writers of several processes wait for each other instead of failing with "database is locked".
    "sqlite": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
}


def _vendor(database: dict[str, Any]) -> str:
    """What speaks to a database, whichever flavour of Django's backend its ENGINE is."""
    engine = str(database.get("ENGINE", "")).rpartition(".")[2]
    return VENDORS.get(engine, engine)


VENDORS = {"postgis": "postgresql", "postgresql_backend": "postgresql", "sqlite3": "sqlite", "spatialite": "sqlite"}


def _mail(given: Given, env: Env, module: str) -> Laid:
    """The settings that EMAIL_URL stands for, all from one place."""
    found: Laid = {}
    if env.get("EMAIL_URL") or not {"EMAIL_BACKEND", "EMAIL_HOST"} & given.keys():
        source = origin("EMAIL_URL", env) if env.get("EMAIL_URL") else DEFAULT
        # A way to encrypt that the project names and the URL does not would contradict it.
        ours = {"EMAIL_USE_TLS": False, "EMAIL_USE_SSL": False} | get("EMAIL_URL", env)
        found = {
            name: _over(name, value, ENVIRONMENT, source, given, module, "take EMAIL_URL out")
            for name, value in ours.items()
        }
    password = get("EMAIL_PASSWORD", env)
    if password and (found or not given.get("EMAIL_HOST_PASSWORD")):
        found["EMAIL_HOST_PASSWORD"] = Value(password, ENVIRONMENT, origin("EMAIL_PASSWORD", env))
    return found


def _logging(name: str, given: Given, env: Env, module: str) -> Value:
    ours = logs.logging_config(get("LOG_LEVEL", env), get("LOG_FORMAT", env))
    theirs = given.get(name) or {}
    return Value(merged.logging(theirs, ours), MERGED, f"{module} + stack" if theirs else STACK)


def _caches(name: str, given: Given, env: Env, module: str) -> Value:
    theirs = given.get(name) or {}
    value = caches.caches(env, theirs)
    if value is theirs:
        return Value(theirs or CACHES, PROJECT, module if theirs else DEFAULT)
    source = origin("CACHE_URL", env)
    lost = theirs.get("default", NOTHING)
    if lost is NOTHING or value["default"].get("LOCATION") == lost.get("LOCATION"):
        return Value(value, ENVIRONMENT, source)
    advice = f"{name}['default'] of {module} is not used, {source} decides: take CACHE_URL out to use it."
    return Value(value, ENVIRONMENT, source, {"default": lost}, advice)


CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}  # Django's own


def _cookies(name: str, given: Given, env: Env, module: str) -> Value:
    """Secure, unless the project says otherwise or INSECURE_COOKIES is set."""
    if get("INSECURE_COOKIES", env):
        return _over(
            name, False, ENVIRONMENT, origin("INSECURE_COOKIES", env), given, module, "take INSECURE_COOKIES out"
        )
    return Value(given[name], ENVIRONMENT, module) if name in given else Value(True, ENVIRONMENT, DEFAULT)


def _folder(variable: str) -> Callable[..., Value]:
    """As `_variable`, without a word about a folder of the project's that is not used: an image has its own."""
    make = _variable(variable)
    return lambda name, given, env, module: make(name, given, env, module)._replace(advice="")


def _not_collected(given: Given, env: Env) -> bool:
    """Whether whitenoise serves static files from where they are: a place that collects them names STATIC_ROOT."""
    return not env.get("STATIC_ROOT")


SILENCED = [
    "security.W004",  # HSTS is the proxy's to send: it knows whether every host of the domain has TLS
    "security.W008",  # the redirect to https is the proxy's too; health checks speak plain HTTP
]
UPLOADS = ["django.core.files.uploadhandler.MemoryFileUploadHandler", "stack.http.uploads.TemporaryFile"]

TABLE: dict[str, Callable[..., Value]] = {
    # The environment's
    "SECRET_KEY": _secret_key,
    "DEBUG": _debug,
    "ALLOWED_HOSTS": _hosts,
    "CSRF_TRUSTED_ORIGINS": _variable("CSRF_TRUSTED_ORIGINS"),
    "DATABASES": _databases,
    "TIME_ZONE": _variable("TIME_ZONE"),
    "STATIC_ROOT": _folder("STATIC_ROOT"),
    "MEDIA_ROOT": _folder("MEDIA_ROOT"),
    "CACHES": _caches,
    "SESSION_COOKIE_SECURE": _cookies,
    "CSRF_COOKIE_SECURE": _cookies,
    # The stack's; PROJECT_URLCONF and PROJECT_WSGI keep the project's, which these serve
    "ROOT_URLCONF": _stacks("stack.root_urls"),
    "WSGI_APPLICATION": _stacks("stack.wsgi.application"),
    "PROJECT_URLCONF": _kept("ROOT_URLCONF"),
    "PROJECT_WSGI": _kept("WSGI_APPLICATION"),
    # Both together
    "INSTALLED_APPS": _merge(merged.apps, []),
    "MIDDLEWARE": _merge(merged.middleware, []),
    "TEMPLATES": _merge(merged.templates, []),
    "FILE_UPLOAD_HANDLERS": _merge(merged.handlers, UPLOADS),
    "SILENCED_SYSTEM_CHECKS": _merge(lambda theirs: [*theirs, *(each for each in SILENCED if each not in theirs)], []),
    "LOGGING": _logging,
    # The project's, and what the stack takes where it says nothing. No SECURE_PROXY_SSL_HEADER: stack.http.proxies
    # knows which proxy may say that a request came by TLS.
    "STATIC_URL": _default("static/"),
    "WHITENOISE_USE_FINDERS": _default(_not_collected),
    "DATA_UPLOAD_MAX_MEMORY_SIZE": _default(6 * 1024 * 1024),  # stack.http.guard has the limit of each call
    "DJANGO_STRUCTLOG_CELERY_ENABLED": _default(True),
    "IPWARE_META_PRECEDENCE_ORDER": _default(("REMOTE_ADDR",)),  # where stack.http.proxies has put the client
    "STACK_API_ROUTERS": _default({}),
}
