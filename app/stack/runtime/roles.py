"""The role table: what each role's word means as a command, and what it needs. Standard library only, and no Django."""

import os
import sys

from stack.runtime.env import APP_DIR, BadValue, get, redis_url
from stack.runtime.projectenv import project_variables

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
    """The names of the variables that must hold usable values before `role` starts.

    A value that is refused later ends a role in a traceback: a variable is in all the lists of those who read it.
    """
    common = ["LOG_LEVEL", "LOG_FORMAT", "RUN_DIR", "REDIS_PORT", "REDIS_PASSWORD", "TASK_TRANSPORT"]
    # Read for Celery's configuration, of whichever role.
    common += ["RESULT_EXPIRES", "TIME_ZONE", "TASK_TIME_LIMIT", "VISIBILITY_TIMEOUT", "STOP_GRACE"]
    common += ["WORKER_CONCURRENCY", "WORKER_POOL", "WORKER_QUEUES", "WEB_SERVER", "WEB_THREADS"]
    if role == "flower":
        return [*common, "FLOWER_BIND", "FLOWER_PASSWORD", "FLOWER_READ_ONLY"]
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
    ]
    # Read where the addresses are imported, as Django's checks do in each role.
    django += ["MAX_UPLOAD", "QUEUE_LIMIT", "REDIS_FULL_PERCENT"]
    web = ["API_TOKEN", "WEB_BIND", "TRUSTED_PROXIES", "WEB_WORKERS", "REQUESTS_PER_CLIENT"]
    web += ["FLOWER_BIND", "FLOWER_READ_ONLY"]
    return common + django + {"web": web, "worker": ["FLOWER_READ_ONLY"]}.get(role, [])


def problems(role, env):
    """Every reason why `role` cannot start with `env`, one sentence each, naming the variable and the fix."""
    from stack.runtime.fitting import contradictions, versions

    # Of packages, not of variables; but one that does not fit ends in a traceback that names neither.
    found = versions()
    try:
        # Some of the stack's own variables may be files too, as the address of a mail server with its password.
        env = env | project_variables(role, env)
    except BadValue as error:
        found.append(str(error))
    for name in needs(role):
        try:
            get(name, env)
        except BadValue as error:
            found.append(str(error))
    for read in (redis_url, _project):
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
