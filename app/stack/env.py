"""The environment: every variable the product reads, declared once with its type, default and meaning.

The role table and the health checks import this module before Django exists and many times a minute,
so it needs nothing but `os` and `sys`: no `re`, no `pathlib`, no `typing`.
"""

import os
import sys

APP_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECT_DIR = os.path.dirname(APP_DIR)

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class BadValue(Exception):
    """A variable holds a value that cannot work; the text names it and says what it accepts."""


class Var:
    """One variable: its kind of value, its default, and the line that documents it.

    Args:
        name: the variable's name.
        default: the text used where the variable is unset or empty; None makes it required.
        doc: one sentence for `.env.example` and the README.
        kind: "str", "int", "bool", "list" (comma separated), "bind" (host:port), "zone", "path", "database" and
            "mail" (URLs), or "secret".
        choices: the accepted words, where only some are.
        low, high: the accepted range of an "int", inclusive.
    """

    __slots__ = ("choices", "default", "doc", "high", "kind", "low", "name")

    def __init__(self, name, default, doc, kind="str", choices=(), low=None, high=None):
        self.name, self.default, self.doc, self.kind = name, default, doc, kind
        self.choices, self.low, self.high = choices, low, high


# Windows cannot fork, and gunicorn and Celery's own pool of processes stand on it.
CAN_FORK = hasattr(os, "fork")

VARS = {
    var.name: var
    for var in (
        # Secrets. Each is read from the file named by NAME_FILE, or from NAME itself.
        Var("SECRET_KEY", None, "Django's signing key.", "secret"),
        Var("REDIS_PASSWORD", None, "This role's password for Redis.", "secret"),
        Var("FLOWER_PASSWORD", None, "The password of Flower's page and API; the user is `flower`.", "secret"),
        Var("DATABASE_PASSWORD", "", "The password for DATABASE_URL, where that holds none.", "secret"),
        Var("EMAIL_PASSWORD", "", "The password for EMAIL_URL, where that holds none.", "secret"),
        Var("API_TOKEN", "", "Bearer token for every /api/ call; empty leaves the API open, on loopback.", "secret"),
        # Where things are.
        Var(
            "REDIS_URL",
            "",
            "Where Redis is, without the password: redis:// or rediss:// (TLS, verified). "
            "The user is the role's name unless the URL names one, as in redis://default@host:6379/0. "
            "Empty means the Redis that `make up` starts.",
        ),
        Var("REDIS_PORT", "6390", "The port of the Redis that `make up` starts.", "int", low=1, high=65535),
        Var(
            "TASK_TRANSPORT",
            "stock",
            "How tasks travel over Redis: `stock` is kombu's own transport.",
            choices=("stock",),
        ),
        Var(
            "DATABASE_URL",
            "",
            "Django's database, as postgres://user@host:5432/name or sqlite:////path; empty is SQLite in RUN_DIR.",
            "database",
        ),
        Var(
            "EMAIL_URL",
            "consolemail://",
            "Django's mail server, as smtp+tls://user@host:587; the default prints to the log.",
            "mail",
        ),
        # Django.
        Var("DEBUG", "false", "Django's debug mode: never in production.", "bool"),
        Var("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", "Host names the web role answers to.", "list"),
        Var("CSRF_TRUSTED_ORIGINS", "", "Further origins whose pages may call the API, as https://host.", "list"),
        Var(
            "TIME_ZONE",
            "UTC",
            "The zone in which crontab schedules are read and runs are shown, as Asia/Shanghai.",
            "zone",
        ),
        # The web server and Flower.
        Var(
            "WEB_SERVER",
            "gunicorn" if CAN_FORK else "django",
            "Django's own server is for development, and the default on Windows, where gunicorn cannot run.",
            choices=("gunicorn", "django"),
        ),
        Var("WEB_BIND", "127.0.0.1:8000", "Address of the web role.", "bind"),
        Var(
            "WEB_ADDRESS",
            "",
            "Where the web role is reached if that is not WEB_BIND: the published port of its container.",
        ),
        Var("WEB_WORKERS", "2", "gunicorn processes.", "int", low=1, high=64),
        Var("WEB_THREADS", "8", "Threads of each; at most half of them hold a `wait`.", "int", low=2, high=256),
        Var("FLOWER_BIND", "127.0.0.1:5555", "Address of Flower.", "bind"),
        Var(
            "FLOWER_READ_ONLY",
            "true",
            "Flower changes nothing; with false, whoever has its password may revoke tasks and stop workers.",
            "bool",
        ),
        # The worker.
        Var("WORKER_QUEUES", "default", "Queues this worker takes tasks from.", "list"),
        Var(
            "WORKER_POOL",
            "prefork" if CAN_FORK else "eventlet",
            "Celery's pool; eventlet is the default on Windows, where prefork cannot work.",
            choices=("prefork", "threads", "solo", "eventlet"),
        ),
        Var("WORKER_CONCURRENCY", "2", "Tasks that one worker runs at a time.", "int", low=1, high=1000),
        # Time limits, in seconds. `manage.py check` says how they must fit together.
        Var("TASK_TIME_LIMIT", "600", "A task that runs longer is killed.", "int", low=1, high=604800),
        Var(
            "VISIBILITY_TIMEOUT", "3600", "What a dead worker held comes back after this.", "int", low=60, high=2592000
        ),
        Var("STOP_GRACE", "60", "Bounds every stop; tasks get this minus 15 to finish.", "int", low=20, high=86400),
        Var(
            "RESULT_EXPIRES",
            "86400",
            "How long a result and the record of its task are kept.",
            "int",
            low=60,
            high=31536000,
        ),
        Var("QUEUE_LIMIT", "100000", "Waiting tasks beyond which the API answers 429.", "int", low=1, high=100000000),
        # Logs and the run folder.
        Var("LOG_LEVEL", "INFO", "Least severity that is logged.", choices=("DEBUG", "INFO", "WARNING", "ERROR")),
        Var("LOG_FORMAT", "json", "One JSON object a line, or text for people.", choices=("json", "console")),
        Var("RUN_DIR", "run", "Writable folder: heartbeats, SQLite.", "path"),
        Var("INSTANCE", "", "Name of this process where several of a role share a RUN_DIR; empty is the role's name."),
        Var("SERVICE_ROLE", "web", "The role; `service.py run` sets it, so that it need not be set by hand."),
        Var("GIT_COMMIT", "", "The commit that /version reports."),
    )
}


ENV_FILE = os.path.join(PROJECT_DIR, ".env")


def environment(path=ENV_FILE, base=None):
    """The process's environment over the `.env` beside the project, which it wins against.

    Args:
        path: the env file: KEY=value lines, no quotes, no `export`; `#` starts a comment line.
        base: mapping to use in place of `os.environ`.

    Returns:
        dict of str to str. A missing file counts as empty.

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
    return values


def get(name, env):
    """The typed value of variable `name` in the mapping `env`.

    Returns:
        str, int, bool, list of str, (host, port) for a "bind", or a dict of Django's settings for a "database" (None
        where it is empty) and for "mail".

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


def _zone(var, text):
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # KeyError is the library's own for an unknown name
        raise BadValue(f"{var.name}={text!r}: it must be a time zone, as {var.default} or Europe/Berlin.") from None
    return text


def _database(var, text):
    if not text:
        return None
    # Not at the top: probes read this file and no URL. The text is not repeated, as it may hold a password.
    from environ import Env

    try:
        if text.partition("://")[0] in Env.DB_SCHEMES:
            return Env.db_url_config(text)
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
    "zone": _zone,
    "database": _database,
    "mail": _mail,
    "path": _path,
}


def _secret(var, env):
    path = env.get(var.name + "_FILE", "")
    path = path and _path(var, path)
    if not path and not env.get(var.name):
        # The secrets that `make up` made, so that manage.py and the checks find them without being told.
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
    accepted = "it must be redis://host:6379/0 or rediss://host:6379/0, with an optional user@ before the host."
    scheme, separator, rest = text.partition("://")
    address, _, database = rest.partition("/")
    user, at, hostport = address.rpartition("@")
    if ":" in user:
        raise BadValue("REDIS_URL holds a password: take it out and put it into REDIS_PASSWORD_FILE.")
    if hostport.startswith("["):
        host, _, port = hostport[1:].partition("]")
        port = port.lstrip(":")
    else:
        host, _, port = hostport.partition(":")
    if scheme not in ("redis", "rediss") or not separator or not host or (at and not user):
        raise BadValue(f"REDIS_URL={text!r}: {accepted}")
    if not (port or "6379").isdigit() or not (database or "0").isdigit():
        raise BadValue(f"REDIS_URL={text!r}: {accepted}")
    return scheme, user or role, host, int(port or 6379), int(database or 0)


def heartbeat_path(role, env):
    """The file in which a role's process leaves its sign of life."""
    return os.path.join(get("RUN_DIR", env), (get("INSTANCE", env) or role) + ".heartbeat")


def loop_limit(role, env):
    """Seconds without a turn of the main loop after which a worker or beat counts as hung.

    The solo pool runs tasks in the loop itself, so its limit starts where the longest task ends.
    """
    if role == "worker" and get("WORKER_POOL", env) == "solo":
        return get("TASK_TIME_LIMIT", env) + 60
    return 60


def example():
    """The text of `.env.example`: every variable with its meaning, its accepted values and its default."""
    made = ", ".join(var.name + "_FILE" for var in VARS.values() if var.default is None)
    lines = [
        "# Every variable the product reads, with its default. Copy the lines you change to `.env`:",
        "# KEY=value, no quotes, no export, no comment behind a value. The process's environment wins over the file.",
        f"# Each NAME_FILE is the path of a file that holds the secret. `make up` makes random ones for {made}.",
        "# A relative path counts from the project's folder.",
        "# Made from app/stack/env.py by `make env-example`.",
    ]
    for var in VARS.values():
        accepted = f" One of: {', '.join(var.choices)}." if var.choices else ""
        if var.kind == "int":
            accepted = f" From {var.low} to {var.high}."
        default = {"WORKER_POOL": "prefork", "WEB_SERVER": "gunicorn"}.get(var.name, var.default or "")
        name = var.name + "_FILE" if var.kind == "secret" else var.name
        lines += ["", f"# {var.doc}{accepted}", f"#{name}={default}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(example())
