"""The environment: what the variables of stack/runtime/variables.py hold, read and checked.

The role table and the health checks import this module before Django exists and many times a minute,
so it needs nothing but `os`: no `re`, no `pathlib`, no `typing`.
"""

import os

from stack.runtime.variables import VARS

APP_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROJECT_DIR = os.path.dirname(APP_DIR)
ENV_FILE = os.path.join(PROJECT_DIR, ".env")

# Where things are: their values may name other variables.
_PLACES = ("REDIS_URL", "DATABASE_URL", "CACHE_URL", "ALLOWED_HOSTS")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class BadValue(Exception):
    """A variable holds a value that cannot work; the text names it and says what it accepts."""


def environment(path=ENV_FILE, base=None):
    """The process's environment over the `.env` beside the project, which it wins against.

    Args:
        path: the env file: KEY=value lines, no quotes, no `export`; `#` starts a comment line.
        base: mapping to use in place of `os.environ`.

    Returns:
        dict of str to str. A missing file counts as empty. In the addresses, $(NAME) is the variable of that name.

    Raises:
        BadValue: the file is not UTF-8.
    """
    values = {}
    try:
        # PowerShell and Notepad put a byte order mark before the text.
        with open(path, encoding="utf-8-sig") as lines:
            for line in lines:
                key, separator, value = line.strip().partition("=")
                if separator and not key.startswith("#"):
                    values[key.strip()] = value.strip()
    except FileNotFoundError:
        pass
    except UnicodeDecodeError:
        raise BadValue(f"{path} is not UTF-8: save it as UTF-8 (PowerShell: `Set-Content -Encoding utf8`).") from None
    values.update(os.environ if base is None else base)
    for name in _PLACES:
        if "$(" in values.get(name, ""):
            values[name] = _with_names(values[name], values)
    return values


def _with_names(text, values):
    """`text` with each $(NAME) replaced by that variable, as Kubernetes does in a container's own `env`.

    It does not do so in what comes from a ConfigMap, where the names of the Services stand beside the addresses.
    """
    head, *rest = text.split("$(")
    for part in rest:
        name, end, tail = part.partition(")")
        head += values[name] + tail if end and name in values else "$(" + part
    return head


def get(name, env):
    """The typed value of variable `name` in the mapping `env`.

    Returns:
        str (a "redis" is checked, and empty where it is not set), int (None where it is empty and may be), bool, list
        of str, (host, port) for a "bind", a list of ip_network for "networks", or a dict of Django's settings for a
        "database" (None where it is empty) and for "mail".

    Raises:
        BadValue: the value is not one that the variable accepts, or a required one is missing.
    """
    var = VARS[name]
    if var.kind == "secret":
        return _secret(var, env)
    text = env.get(name, "") or var.default
    if var.choices and text not in var.choices:
        raise BadValue(f"{name}={text!r}: it must be one of {', '.join(var.choices)}.")
    return _READ[var.kind](var, text) if var.kind in _READ else text


def _path(var, text):
    """The one rule for paths: a relative one counts from the project's folder, whichever folder a role runs in."""
    return os.path.join(PROJECT_DIR, text)


def _bool(var, text):
    if text.lower() not in _TRUE + _FALSE:
        raise BadValue(f"{var.name}={text!r}: it must be true or false.")
    return text.lower() in _TRUE


def _list(var, text):
    items = [item.strip() for item in text.split(",") if item.strip()]
    if text and not items:
        raise BadValue(f"{var.name}={text!r}: it must hold one word or several, separated by commas.")
    return items


def _int(var, text):
    if not text and var.default == "":
        return None
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or not var.low <= number <= var.high:
        raise BadValue(f"{var.name}={text!r}: it must be a whole number from {var.low} to {var.high}.")
    return number


def _bind(var, text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadValue(f"{var.name}={text!r}: it must be host:port, as {var.default}.")
    return host.strip("[]"), int(port)


def _networks(var, text):
    # Not at the top: probes read this file and no network.
    from stack.runtime.networks import networks

    try:
        return networks(_list(var, text))
    except ValueError as error:
        raise BadValue(f"{var.name}={text!r}: {error}") from None


def _zone(var, text):
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # KeyError is the library's own for an unknown name
        raise BadValue(f"{var.name}={text!r}: it must be a time zone, as {var.default} or Europe/Berlin.") from None
    return text


def _redis(var, text):
    if text:
        redis_address(var.name, text)
    return text


def _database(var, text):
    if not text:
        return None
    # Not at the top: probes read this file and no URL. The text is not repeated, as it may hold a password.
    from environ import Env

    try:
        if text.partition("://")[0] in Env.DB_SCHEMES:
            found = Env.db_url_config(text)
            if "sqlite" in found["ENGINE"] and found["NAME"] != ":memory:":
                found["NAME"] = _path(var, found["NAME"])
            return found
    except ValueError:  # a port that is no number, an address with half a bracket
        pass
    raise BadValue(f"{var.name}: it must be postgres://user@host:5432/name, sqlite:////path, or empty for SQLite.")


def _mail(var, text):
    from environ import Env, ImproperlyConfigured

    try:
        return Env.email_url_config(text)
    except (ValueError, ImproperlyConfigured):
        raise BadValue(f"{var.name}: it must be smtp+tls://user@host:587, smtp://host:25 or {var.default}.") from None


_READ = {
    "int": _int,
    "bool": _bool,
    "list": _list,
    "bind": _bind,
    "networks": _networks,
    "zone": _zone,
    "redis": _redis,
    "database": _database,
    "mail": _mail,
    "path": _path,
}


def _secret(var, env):
    path = env.get(var.name + "_FILE", "")
    path = path and _path(var, path)
    if not path and not env.get(var.name):
        # The secrets that `make up` made, so that manage.py and the checks find them without a variable.
        role = get("SERVICE_ROLE", env)
        service = "web" if role in ("migrate", "wait") else role
        made = os.path.join(get("RUN_DIR", env), "secrets", service, var.name.lower())
        path = made if os.path.exists(made) else ""
    if path:
        try:
            with open(path, encoding="utf-8") as file:
                value = file.read().strip()
        except OSError as error:
            raise BadValue(f"{var.name}_FILE={path!r} cannot be read: {error.strerror}.") from None
        if not value:
            raise BadValue(f"{var.name}_FILE={path!r} is empty.")
        return value
    value = env.get(var.name, "") or var.default
    if value is None:
        raise BadValue(f"{var.name} is not set: give {var.name}_FILE, the path of a file that holds it.")
    return value


def redis_url(role, env):
    """Redis's address without its password: (scheme, user, host, port, database number).

    Raises:
        BadValue: REDIS_URL is not `redis[s]://[user@]host[:port][/number]`, or holds a password.
    """
    text = env.get("REDIS_URL", "") or f"redis://127.0.0.1:{get('REDIS_PORT', env)}/0"
    scheme, user, host, port, database = redis_address("REDIS_URL", text)
    return scheme, user or role, host, port, database


def redis_address(name, text):
    """The parts of a Redis's address in variable `name`: (scheme, user or "", host, port, database number).

    Raises:
        BadValue: it is not `redis[s]://[user@]host[:port][/number]`, or holds a password.
    """
    accepted = "it must be redis://host:6379/0 or rediss://host:6379/0, with an optional user@ before the host."
    scheme, separator, rest = text.partition("://")
    address, _, database = rest.partition("/")
    user, at, hostport = address.rpartition("@")
    if ":" in user:
        file = name.replace("_URL", "_PASSWORD_FILE")
        raise BadValue(f"{name} holds a password: take it out and put it into {file}.")
    if hostport.startswith("["):
        host, _, port = hostport[1:].partition("]")
        port = port.lstrip(":")
    else:
        host, _, port = hostport.partition(":")
    if scheme not in ("redis", "rediss") or not separator or not host or (at and not user):
        raise BadValue(f"{name}={text!r}: {accepted}")
    if not (port or "6379").isdigit() or not (database or "0").isdigit():
        raise BadValue(f"{name}={text!r}: {accepted}")
    return scheme, user, host, int(port or 6379), int(database or 0)


def heartbeat_path(role, env):
    """The file in which a role's process leaves its sign of life."""
    return os.path.join(get("RUN_DIR", env), (get("INSTANCE", env) or role) + ".heartbeat")


def loop_limit(role, env):
    """Seconds without a turn of the main loop after which a worker or beat counts as hung.

    The solo pool runs tasks in the loop itself, so its limit starts where the longest task ends. Where no variable says
    when that is, it is the time after which another worker is given the task anyway.
    """
    if role == "worker" and get("WORKER_POOL", env) == "solo":
        return (get("TASK_TIME_LIMIT", env) or get("VISIBILITY_TIMEOUT", env)) + 60
    return 60
