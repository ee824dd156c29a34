"""The role table: what each role's word means as a command. Standard library only, and no Django."""

import os
import sys

from stack.runtime.env import APP_DIR, BadValue, get, redis_url
from stack.runtime.names import problem
from stack.runtime.projectenv import project_variables
from stack.runtime.variables import CAN_FORK

ROLES = ("web", "worker", "beat", "flower", "migrate", "wait")
_PYTHON = sys.executable
# By their full names: the working folder is the project's, which may have files of these names.
_MANAGE, _GUNICORN, _FLOWER = (
    os.path.join(APP_DIR, name) for name in ("manage.py", "gunicorn.conf.py", "flowerconfig.py")
)


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
        return [_PYTHON, _MANAGE, "runserver", "--noreload", place]
    if role == "web":
        layer = "asgi" if get("WEB_SERVER", env) == "asgi" else "wsgi"
        return [_PYTHON, "-m", "gunicorn", "-c", _GUNICORN, f"stack.{layer}:application"]
    if role == "worker":
        # The pool is an argument because Celery patches for green pools by looking at its command line.
        # Without mingle and gossip: what workers would tell each other (revokes, clocks) is in Redis here, and
        # mingle costs a second at start. The green pool keeps gossip: without it it dies when Redis restarts.
        pool = get("WORKER_POOL", env)
        talk = ["--without-mingle"] if pool == "eventlet" else ["--without-mingle", "--without-gossip"]
        module = "stack.worker.green" if pool == "eventlet" else "celery"
        # Without names, or with those that it does not take, stack/worker/queues.py asks the project.
        wanted = [queue for queue in get("WORKER_QUEUES", env) if queue[0] != "-"]
        return [
            *(_PYTHON, "-m", module, "-q", "-A", "stack.celery", "worker", "-n", f"{get('INSTANCE', env) or role}@%h"),
            *("-P", pool, *(["-Q", ",".join(wanted)] if wanted else []), "-l", level, *talk),
        ]
    if role == "beat":
        return [_PYTHON, "-m", "celery", "-q", "-A", "stack.celery", "beat", "--pidfile=", "-l", level]
    if role == "flower":
        # The app without Django: Flower reads events and needs none of the project's code (240 MiB less).
        return [_PYTHON, "-m", "celery", "-q", "-A", "stack.monitoring.flower", "flower", f"--conf={_FLOWER}"]
    if role in ("migrate", "wait"):
        arguments = ["migrate", "--noinput", "--static"] if role == "migrate" else ["wait_for_migrations"]
        return [_PYTHON, _MANAGE, *arguments]
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
        "CACHE_URL",
        "CACHE_PASSWORD",
        "EMAIL_URL",
        "EMAIL_PASSWORD",
        "DEBUG",
        "ALLOWED_HOSTS",
        "CSRF_TRUSTED_ORIGINS",
        "INSECURE_COOKIES",
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
    for read in (redis_url, project_variables, _project):
        try:
            read(role, env)
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


def _project(role, env):
    """The project of a role that runs one; BadValue where it cannot be found."""
    from stack.runtime.project import project

    return None if role == "flower" else project(env)


def contradictions(env):
    """Values that are each fine and cannot work together, one sentence each."""
    from importlib.util import find_spec

    limit, grace = get("TASK_TIME_LIMIT", env), get("STOP_GRACE", env)
    visible, pool = get("VISIBILITY_TIMEOUT", env), get("WORKER_POOL", env)
    found = []
    if limit and visible < limit + grace + 60:
        found.append(
            f"VISIBILITY_TIMEOUT={visible} is too short: a task that still runs would be given to a second worker. "
            f"Make it at least TASK_TIME_LIMIT + STOP_GRACE + 60 = {limit + grace + 60}."
        )
    elif visible < grace + 60:
        found.append(
            f"VISIBILITY_TIMEOUT={visible} is too short: a task could be given to a second worker while the first one "
            f"stops. Make it at least STOP_GRACE + 60 = {grace + 60}."
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
    if (server := get("WEB_SERVER", env)) != "django" and not CAN_FORK:
        found.append(f"WEB_SERVER={server} cannot work on Windows: its processes are forked. Make it django.")
    names = get("WORKER_QUEUES", env)
    for queue in (name.removeprefix("-") for name in names):
        if why := problem(queue):
            found.append(f"WORKER_QUEUES names {queue!r}, which {why}.")
    if len({name.startswith("-") for name in names}) > 1:
        found.append(
            f"WORKER_QUEUES={','.join(names)} names queues to take and, with `-`, queues to leave out: give one kind. "
            "A worker that is given names takes no other queue anyway."
        )
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


def max_delay(env, visible=None, limit=None):
    """The longest countdown in seconds that the API and Django's tasks accept.

    A delayed task waits unacknowledged in a worker, so delay, run and stop must all fit the visibility timeout. Without
    a time limit a sixth of it is kept for the run.

    Args:
        visible: the visibility timeout of the app that runs, where that is not VISIBILITY_TIMEOUT.
        limit: its time limit, where that is not TASK_TIME_LIMIT.
    """
    visible = visible or get("VISIBILITY_TIMEOUT", env)
    return int(visible - (get("TASK_TIME_LIMIT", env) or limit or visible // 6) - get("STOP_GRACE", env))


def versions():
    """What is wrong with the versions of Django and of Celery's Redis client, one sentence each.

    A client that does not fit fails later and obscurely ('str' object has no attribute 'items').
    """
    from importlib.metadata import PackageNotFoundError, version

    found = []
    fitting = {
        "django": ((5, 2), (6, 1)),
        "redis": ((6, 4), (9,)),
        "celery": ((5, 7), (5, 8)),
        "kombu": ((5, 7), (5, 8)),
    }
    for package, (least, below) in fitting.items():
        try:
            installed = version(package)
        except PackageNotFoundError:
            installed = "0.0 (not installed)"
        if not least <= tuple(int(part) for part in installed.split(" ")[0].split(".")[:2]) < below:
            found.append(
                f"{package} {installed} does not fit: it must be at least {'.'.join(map(str, least))} and "
                f"below {'.'.join(map(str, below))}. Install the locked versions: pip install --require-hashes "
                "-r requirements/base.txt (Django 5.2) or requirements/django60.txt (Django 6.0)"
            )
    return found
