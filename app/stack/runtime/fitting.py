"""What must fit together: variables with each other, versions with the stack, a delay with the times of a task.

Standard library only, and no Django.
"""

from stack.runtime.env import get
from stack.runtime.names import problem
from stack.runtime.variables import CAN_FORK


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
