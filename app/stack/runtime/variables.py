"""Every variable the product reads, declared once with its type, default and meaning; stack/runtime/env.py reads them.

The role table and the health checks import this module before Django exists and many times a minute,
so it needs nothing but `os`.
"""

import os

# Windows cannot fork, and gunicorn and Celery's own pool of processes stand on it.
CAN_FORK = hasattr(os, "fork")


class Var:
    """One variable: its kind of value, its default, and the line that documents it.

    Args:
        name: the variable's name.
        default: the text used where the variable is unset or empty; None makes it required.
        doc: one sentence for `.env.example` and the README.
        kind: "str", "int", "bool", "list" (comma separated), "networks" (such a list), "bind" (host:port), "zone",
            "path", "redis", "database" and "mail" (URLs), or "secret".
        choices: the accepted words, where only some are.
        low, high: the accepted range of an "int", inclusive.
    """

    __slots__ = ("choices", "default", "doc", "high", "kind", "low", "name")

    def __init__(self, name, default, doc, kind="str", choices=(), low=None, high=None):
        self.name, self.default, self.doc, self.kind = name, default, doc, kind
        self.choices, self.low, self.high = choices, low, high


VARS = {
    var.name: var
    for var in (
        # Secrets. Each is read from the file named by NAME_FILE, or from NAME itself.
        Var("SECRET_KEY", None, "Django's signing key.", "secret"),
        Var("REDIS_PASSWORD", None, "This role's password for Redis.", "secret"),
        Var("FLOWER_PASSWORD", None, "The password of Flower's page and API; the user is `flower`.", "secret"),
        Var("DATABASE_PASSWORD", "", "The password for DATABASE_URL, where that holds none.", "secret"),
        Var("CACHE_PASSWORD", "", "The password for CACHE_URL.", "secret"),
        Var("EMAIL_PASSWORD", "", "The password for EMAIL_URL, where that holds none.", "secret"),
        Var(
            "API_TOKEN",
            "",
            "Bearer token for every /api/ call; empty leaves the API open, and the web role starts on loopback only.",
            "secret",
        ),
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
            "CACHE_URL",
            "",
            'A Redis for Django\'s cache, without the password, as redis://cache:6379/0: CACHES["default"] is there. '
            "Empty leaves CACHES to the project. Never the Redis of the tasks, which must not forget.",
            "redis",
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
            "INSECURE_COOKIES",
            "false",
            "Session and CSRF cookies travel without TLS too: only for a network of your own without TLS. A browser on "
            "this machine needs it not: it takes secure cookies from http://127.0.0.1 and http://localhost.",
            "bool",
        ),
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
            "gunicorn serves WSGI; asgi is gunicorn with the project's ASGI_APPLICATION: async views and websockets. "
            "Django's own server is for development, and the default on Windows, where gunicorn cannot run.",
            choices=("gunicorn", "asgi", "django"),
        ),
        Var("WEB_BIND", "127.0.0.1:8000", "Address of the web role.", "bind"),
        Var(
            "WEB_ADDRESS",
            "",
            "Where the web role is reached if that is not WEB_BIND: the published port of its container.",
        ),
        Var(
            "TRUSTED_PROXIES",
            "127.0.0.1,::1",
            "Addresses and networks of the proxies in front of the web role: their X-Forwarded-For and "
            "X-Forwarded-Proto are believed, and nobody else's. Compose adds its own proxy to them.",
            "networks",
        ),
        Var("WEB_WORKERS", "2", "gunicorn processes.", "int", low=1, high=64),
        Var(
            "WEB_THREADS",
            "8",
            "Threads of each; at most half hold a `wait` or a task for a restarted Redis, a quarter an upload.",
            "int",
            low=2,
            high=256,
        ),
        Var(
            "REQUESTS_PER_CLIENT",
            "0",
            "Requests that one client address may have under way in each web process; 0 is no limit. TRUSTED_PROXIES "
            "must name your proxies first, or all who come through one are one client.",
            "int",
            low=0,
            high=10000,
        ),
        Var(
            "MAX_UPLOAD",
            "10",
            "Largest body of a request in MiB, outside the API of tasks, which has limits of its own; at most "
            "WEB_WORKERS * WEB_THREADS / 4 such bodies at a time must fit into the temporary folder.",
            "int",
            low=1,
            high=10240,
        ),
        Var("FLOWER_BIND", "127.0.0.1:5555", "Address of Flower.", "bind"),
        Var(
            "FLOWER_READ_ONLY",
            "true",
            "Flower changes nothing, and workers obey no change of its; with false for both, whoever has its "
            "password may revoke tasks and stop workers.",
            "bool",
        ),
        # The worker.
        Var(
            "WORKER_QUEUES",
            "",
            "Queues this worker takes tasks from, as `emails,video`; `-emails` takes all but that one. Empty is every "
            "queue that the project names: docs/queues.md.",
            "list",
        ),
        Var(
            "WORKER_POOL",
            "prefork" if CAN_FORK else "eventlet",
            "Celery's pool; eventlet is the default on Windows, where prefork cannot work.",
            choices=("prefork", "threads", "solo", "eventlet"),
        ),
        Var("WORKER_CONCURRENCY", "2", "Tasks that one worker runs at a time.", "int", low=1, high=1000),
        # Time limits, in seconds. `manage.py check` says how they must fit together.
        Var(
            "TASK_TIME_LIMIT",
            "",
            "Prefork kills a task that runs longer, after SoftTimeLimitExceeded; solo counts as hung a minute later. "
            "Empty is the project's own limit, or none: then a task that outlives VISIBILITY_TIMEOUT runs twice.",
            "int",
            low=1,
            high=604800,
        ),
        Var(
            "VISIBILITY_TIMEOUT",
            "3600",
            "What a dead worker held comes back after this. A task whose countdown or run is longer runs twice.",
            "int",
            low=60,
            high=2592000,
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
        Var(
            "REDIS_FULL_PERCENT",
            "80",
            "Percent of Redis's maxmemory beyond which the API answers 503; the rest is for results.",
            "int",
            low=1,
            high=100,
        ),
        # Logs and the run folder.
        Var("LOG_LEVEL", "INFO", "Least severity that is logged.", choices=("DEBUG", "INFO", "WARNING", "ERROR")),
        Var("LOG_FORMAT", "json", "One JSON object a line, or text for people.", choices=("json", "console")),
        Var(
            "SECRETS_DIR",
            "",
            "Folder of the project's own secrets: a file STRIPE_KEY in it is the variable STRIPE_KEY of each role that "
            "runs Django, and EMAIL_URL or EMAIL_PASSWORD may be such a file too. Empty is `secrets` in RUN_DIR.",
            "path",
        ),
        Var("RUN_DIR", "run", "Writable folder: heartbeats, SQLite.", "path"),
        Var(
            "STATIC_ROOT",
            "run/static",
            "Folder into which static files are collected, where the storage needs that; set it, and they always "
            "are. Unset, the project's own STATIC_ROOT comes before the default.",
            "path",
        ),
        Var(
            "MEDIA_ROOT",
            "run/media",
            "Writable folder of uploads, the same for web and worker. Unset, the project's own MEDIA_ROOT comes before "
            "the default.",
            "path",
        ),
        Var("INSTANCE", "", "Name of this process where several of a role share a RUN_DIR; empty is the role's name."),
        Var("BEAT_SCHEDULER", "", "Beat's scheduler as module:Class; empty: the project's, or the stack's own."),
        Var("SERVICE_ROLE", "web", "The role; `service.py run` sets it, so that it need not be set by hand."),
        Var("GIT_COMMIT", "", "The commit that /version reports."),
    )
}


def example():
    """The text of `.env.example`: every variable with its meaning, its accepted values and its default."""
    made = ", ".join(var.name + "_FILE" for var in VARS.values() if var.default is None)
    lines = [
        "# Every variable the product reads, with its default. Copy the lines you change to `.env`:",
        "# KEY=value, no quotes, no export, no comment behind a value. The process's environment wins over the file.",
        f"# Each NAME_FILE is the path of a file that holds the secret. `make up` makes random ones for {made}.",
        "# A relative path counts from the project's folder.",
        "# Variables of your own may stand in `.env` too: every Django role has them in os.environ. A secret of yours",
        "# is a file in SECRETS_DIR: the text of run/secrets/STRIPE_KEY is the variable STRIPE_KEY.",
        "# Made from app/stack/runtime/variables.py by `make env-example`.",
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
    print(example(), end="")
