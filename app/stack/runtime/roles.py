"""The role table: what each role's word means as a command. Standard library only, and no Django."""

import sys

from stack.runtime.env import BadValue, get, redis_url
from stack.runtime.names import problem
from stack.runtime.variables import CAN_FORK

ROLES = ("web", "worker", "beat", "flower", "migrate", "wait")
_PYTHON = sys.executable


def argv(role, env):
    """The command that becomes the process of `role`.

    Args:
        role: a word of ROLES.
        env: mapping of environment variables.

    Returns:
        list of str: the program and its arguments; no secret is among them.

    Raises:
        BadValue: unknown role, or a value in `env` that cannot work.
    """
    level = get("LOG_LEVEL", env)
    if role == "web" and get("WEB_SERVER", env) == "django":
        host, port = get("WEB_BIND", env)
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return [_PYTHON, "manage.py", "runserver", "--noreload", place]
    if role == "web":
        return [_PYTHON, "-m", "gunicorn", "config.wsgi:application"]
    if role == "worker":
        # The pool is an argument because Celery patches for green pools by looking at its command line.
        # Without mingle and gossip: what workers would tell each other (revokes, clocks) is in Redis here, and
        # mingle costs a second at start. The green pool keeps gossip: without it it dies when Redis restarts.
        pool = get("WORKER_POOL", env)
        talk = ["--without-mingle"] if pool == "eventlet" else ["--without-mingle", "--without-gossip"]
        module = "stack.worker.green" if pool == "eventlet" else "celery"
        return [
            *(_PYTHON, "-m", module, "-q", "-A", "config", "worker", "-n", f"{get('INSTANCE', env) or role}@%h"),
            *("-P", pool, "-Q", ",".join(get("WORKER_QUEUES", env)), "-l", level, *talk),
        ]
    if role == "beat":
        return [_PYTHON, "-m", "celery", "-q", "-A", "config", "beat", "--pidfile=", "-l", level]
    if role == "flower":
        # The app without Django: Flower reads events and needs none of the project's code (240 MiB less).
        return [_PYTHON, "-m", "celery", "-q", "-A", "stack.monitoring.flower", "flower"]
    if role in ("migrate", "wait"):
        arguments = ["migrate", "--noinput"] if role == "migrate" else ["wait_for_migrations"]
        return [_PYTHON, "manage.py", *arguments]
    raise BadValue(f"unknown role {role!r}: it must be one of {', '.join(ROLES)}.")


def needs(role):
    """The variables that must hold usable values before `role` starts."""
    common = ["LOG_LEVEL", "LOG_FORMAT", "RUN_DIR", "REDIS_PORT", "REDIS_PASSWORD", "TASK_TRANSPORT"]
    if role == "flower":
        return [*common, "FLOWER_BIND", "FLOWER_PASSWORD", "FLOWER_READ_ONLY", "WORKER_QUEUES"]
    django = [
        "SECRET_KEY",
        "DATABASE_URL",
        "DATABASE_PASSWORD",
        "EMAIL_URL",
        "EMAIL_PASSWORD",
        "DEBUG",
        "ALLOWED_HOSTS",
        "CSRF_TRUSTED_ORIGINS",
        "TIME_ZONE",
        "RESULT_EXPIRES",
    ]
    times = ["TASK_TIME_LIMIT", "VISIBILITY_TIMEOUT", "STOP_GRACE"]
    web = ["API_TOKEN", "WEB_SERVER", "WEB_BIND", "TRUSTED_PROXIES", "WEB_WORKERS", "WEB_THREADS"]
    web += ["MAX_UPLOAD", "REQUESTS_PER_CLIENT", "QUEUE_LIMIT"]
    worker = ["WORKER_QUEUES", "WORKER_POOL", "WORKER_CONCURRENCY", "FLOWER_READ_ONLY"]
    return common + django + times + {"web": web, "worker": worker}.get(role, [])


def problems(role, env):
    """Every reason why `role` cannot start with `env`, one sentence each, naming the variable and the fix."""
    # Of packages, not of variables; but one that does not fit ends in a traceback that names neither.
    found = versions()
    for name in needs(role):
        try:
            get(name, env)
        except BadValue as error:
            found.append(str(error))
    try:
        redis_url(role, env)
    except BadValue as error:
        found.append(str(error))
    if found:
        return found
    found = contradictions(env)
    # On compose the migrations come first, and say at once what web would say when its health check gives up.
    if role == "web" or (role == "migrate" and env.get("WEB_ADDRESS")):
        from stack.runtime.exposure import open_api

        try:
            found.append(open_api(env))
        except BadValue as error:
            found.append(str(error))
    return [reason for reason in found if reason]


def contradictions(env):
    """Values that are each fine and cannot work together, one sentence each."""
    from importlib.util import find_spec

    limit, grace = get("TASK_TIME_LIMIT", env), get("STOP_GRACE", env)
    visible, pool = get("VISIBILITY_TIMEOUT", env), get("WORKER_POOL", env)
    found = []
    if visible < limit + grace + 60:
        found.append(
            f"VISIBILITY_TIMEOUT={visible} is too short: a task that still runs would be given to a second worker. "
            f"Make it at least TASK_TIME_LIMIT + STOP_GRACE + 60 = {limit + grace + 60}."
        )
    if get("RESULT_EXPIRES", env) < visible:
        found.append(
            f"RESULT_EXPIRES={get('RESULT_EXPIRES', env)} is shorter than VISIBILITY_TIMEOUT={visible}: "
            "the record of a task could be gone before the task comes back. Make it at least as long."
        )
    if pool == "eventlet" and find_spec(pool) is None:
        found.append(
            "WORKER_POOL=eventlet needs a package that is not installed: pip install eventlet, or use threads."
        )
    if pool == "prefork" and not CAN_FORK:
        found.append(
            "WORKER_POOL=prefork cannot work on Windows: its processes are forked. Celery would start, and every task "
            "would fail with `ValueError: not enough values to unpack (expected 3, got 0)`. "
            "Make it eventlet (the default there), threads or solo."
        )
    if get("WEB_SERVER", env) == "gunicorn" and not CAN_FORK:
        found.append("WEB_SERVER=gunicorn cannot work on Windows: its processes are forked. Make it django.")
    for queue in get("WORKER_QUEUES", env):
        if why := problem(queue):
            found.append(f"WORKER_QUEUES names {queue!r}, which {why}.")
    if env.get("REMAP_SIGTERM"):
        found.append("REMAP_SIGTERM is set: TERM would cut running tasks off. Unset it; STOP_GRACE bounds the stop.")
    if pool == "solo" and get("WORKER_CONCURRENCY", env) > 1 and env.get("WORKER_CONCURRENCY"):
        found.append("WORKER_POOL=solo runs one task at a time. Make WORKER_CONCURRENCY 1 or leave it unset.")
    return found + _server_arguments(env.get("GUNICORN_CMD_ARGS", ""))


def _server_arguments(text):
    """What arguments of gunicorn would undo of what the stack promises of its web server, where no check looks."""
    found = []
    for word in text.split():
        if word.startswith(("-b", "--bind")):
            found.append("GUNICORN_CMD_ARGS has an address. Take it out, and set WEB_BIND.")
        elif word.startswith(("--forwarded-allow-ips", "--forwarder-headers", "--header-map", "--proxy-")):
            found.append(f"GUNICORN_CMD_ARGS has {word.partition('=')[0]}. Take it out, and set TRUSTED_PROXIES.")
        elif word.startswith(("-k", "--worker-class")):
            found.append("GUNICORN_CMD_ARGS has a worker class. Take it out: the stack's own bounds slow clients.")
    return found


def max_delay(env):
    """The longest countdown in seconds that the API accepts.

    A delayed task waits unacknowledged in a worker, so delay, run and stop must all fit the visibility timeout.
    """
    return get("VISIBILITY_TIMEOUT", env) - get("TASK_TIME_LIMIT", env) - get("STOP_GRACE", env)


def versions():
    """What is wrong with the versions of Celery's Redis client, one sentence each.

    A client that does not fit fails later and obscurely ('str' object has no attribute 'items').
    """
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package, least, below in (("redis", (6, 4), (9,)), ("celery", (5, 7), (5, 8)), ("kombu", (5, 7), (5, 8))):
        try:
            installed = version(package)
        except PackageNotFoundError:
            installed = "0.0 (not installed)"
        if not least <= tuple(int(part) for part in installed.split(" ")[0].split(".")[:2]) < below:
            found.append(
                f"{package} {installed} does not fit: it must be at least {'.'.join(map(str, least))} and "
                f"below {'.'.join(map(str, below))}. Install the locked versions: pip install --require-hashes "
                "-r requirements/base.txt"
            )
    return found
