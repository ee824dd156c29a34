"""Which of the project's Celery settings are not used, and the variable to use: read off the app that runs."""

from typing import Any

from celery.app.defaults import SETTING_KEYS

from stack.broker import precedence
from stack.rules import DEFAULT, ENVIRONMENT, NOTHING, PROJECT, STACK, Laid, Value, decider, origin

# The environment's, each with its variable.
VARIABLES = {
    "beat_scheduler": "BEAT_SCHEDULER",
    "result_expires": "RESULT_EXPIRES",
    "task_soft_time_limit": "TASK_TIME_LIMIT",
    "task_time_limit": "TASK_TIME_LIMIT",
    "timezone": "TIME_ZONE",
    "worker_concurrency": "WORKER_CONCURRENCY",
    "worker_pool": "WORKER_POOL",
}
# What else has a variable to use in its place.
INSTEAD = {
    "broker_url": "REDIS_URL",
    "broker_read_url": "REDIS_URL",
    "broker_write_url": "REDIS_URL",
    "redis_password": "REDIS_PASSWORD_FILE",
    "redbeat_redis_url": "REDIS_URL",
    "result_backend": "REDIS_URL",
    "visibility_timeout": "VISIBILITY_TIMEOUT",
    "worker_soft_shutdown_timeout": "STOP_GRACE",
}


def said(app: Any) -> dict[str, Any]:
    """What the project itself says to its app, however it does: by settings of any namespace, arguments, `app.conf`."""
    app.conf.finalize()
    found = {name: precedence.given(app.conf, name, NOTHING) for name in SETTING_KEYS}
    return {name: value for name, value in found.items() if value is not NOTHING}


def laid(app: Any, env: dict[str, str], module: str) -> Laid:
    """The Celery settings that are not Celery's own defaults, with their origin.

    Args:
        app: the app that runs, configured.
        env: mapping of environment variables.
        module: the name of the project's settings module, for people.
    """
    found: Laid = {}
    given = said(app)
    ours = {
        name for layer in ("stack_above", "stack_below") for name in app.conf.__dict__[layer] if name in SETTING_KEYS
    }
    # Celery's names for them in the project's settings.
    prefix = (app.conf.prefix or "").upper()
    for name in sorted(ours | given.keys()):
        value, theirs, variable = app.conf[name], given.get(name, NOTHING), VARIABLES.get(name, "")
        theirs = NOTHING if theirs is None and value is not None else theirs  # as who says nothing
        shown = prefix + name.upper()
        if isinstance(theirs, dict) and isinstance(value, dict):
            theirs = {key: each for key, each in theirs.items() if value.get(key, NOTHING) != each} or theirs
        if name == "beat_scheduler" and not env.get(variable):
            value = theirs if theirs is not NOTHING else value  # the stack's layer lies around it
        if theirs is not NOTHING and _same(theirs, value):
            group = ENVIRONMENT if variable else PROJECT
            found[shown] = Value(value, group, module)
            continue
        is_set = bool(variable and env.get(variable))
        group, source = (ENVIRONMENT, origin(variable, env) if is_set else DEFAULT) if variable else (STACK, STACK)
        use = variable or INSTEAD.get(name, "")
        fix = f"set {use}." if use else "take it out."
        if use == "REDIS_URL" and (old := _other_broker(name, theirs)):
            fix = f"the broker is Redis, at REDIS_URL. What waits in {old} stays there: let it run empty first."
        if is_set:
            fix = f"take {variable} out to use it."
        which = f"{shown} ({', '.join(theirs)})" if isinstance(theirs, dict) else shown
        advice = f"{which} of the project is not used, {decider(source)} decides: {fix}"
        found[shown] = Value(value, group, source, theirs, advice if theirs is not NOTHING else "")
    return found


def _other_broker(name: str, theirs: Any) -> str:
    """The kind of broker that the project names, where that is none of Redis."""
    first = theirs[0] if isinstance(theirs, list | tuple) and theirs else theirs  # one of several to try in turn
    kind = str(first).partition(":")[0].partition("+")[0]
    return "" if not name.startswith("broker_") or kind in ("redis", "rediss", "sentinel") else kind


def _same(theirs: Any, value: Any) -> bool:
    """Whether the value that runs has all that the project's says; the stack adds options of its own to some."""
    if isinstance(theirs, dict) and isinstance(value, dict):
        return all(name in value and value[name] == theirs[name] for name in theirs)
    if isinstance(theirs, list | tuple) and isinstance(value, list | tuple):
        return all(each in value for each in theirs)
    return bool(theirs is None or theirs == value)
