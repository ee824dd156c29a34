"""The settings whose rule is their own: the key, DEBUG, the hosts, the cookies, mail and the log."""

from stack import log_files, merged, rules
from stack.rules import DEFAULT, ENVIRONMENT, NOTHING, Env, Given, Laid, Value, environments, origin, over
from stack.runtime import logs
from stack.runtime.env import get

INSECURE = "django-insecure-"
# Where `make up`, compose and Kubernetes put the key that they made, below RUN_DIR on a machine.
MADE = "/run/secrets/"


def secret_key(name: str, given: Given, env: Env, module: str) -> Value:
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
        return over(name, key, ENVIRONMENT, source, given, module, "take the variable out")
    lost = f"{name} of {module} is not used, {source} is: it begins with {INSECURE!r}, so it is no secret."
    return Value(key, ENVIRONMENT, source, theirs or NOTHING, lost if theirs else "")


def debug(name: str, given: Given, env: Env, module: str) -> Value:
    """On where the environment says so, and never because `startproject` wrote it."""
    ours = get("DEBUG", env)
    if ours or not given.get(name):
        return environments("DEBUG")(name, given, env, module)
    advice = f"DEBUG = {given[name]!r} of {module} is not used: set DEBUG=true in .env on a machine for development."
    return Value(ours, ENVIRONMENT, origin("DEBUG", env) if env.get("DEBUG") else DEFAULT, given[name], advice)


def hosts(name: str, given: Given, env: Env, module: str) -> Value:
    """With the names of this machine, by which `make up` and the smoke test call the web role."""
    found = environments(name)(name, given, env, module)
    if found.source != module or isinstance(found.value, str):  # Django has a word on the latter
        return found
    local = [host for host in get(name, {}) if host not in found.value]
    return found._replace(value=[*found.value, *local])


def cookies(name: str, given: Given, env: Env, module: str) -> Value:
    """Secure, unless the project says otherwise or INSECURE_COOKIES is set."""
    if get("INSECURE_COOKIES", env):
        return over(
            name, False, ENVIRONMENT, origin("INSECURE_COOKIES", env), given, module, "take INSECURE_COOKIES out"
        )
    return Value(given[name], ENVIRONMENT, module) if name in given else Value(True, ENVIRONMENT, DEFAULT)


def mail(given: Given, env: Env, module: str) -> Laid:
    """The settings that EMAIL_URL stands for, all from one place; none where they stay the project's."""
    found: Laid = {}
    if env.get("EMAIL_URL") or not {"EMAIL_BACKEND", "EMAIL_HOST"} & given.keys():
        source = origin("EMAIL_URL", env) if env.get("EMAIL_URL") else DEFAULT
        # A way to encrypt that the project names and the URL does not would contradict it.
        ours = {"EMAIL_USE_TLS": False, "EMAIL_USE_SSL": False} | get("EMAIL_URL", env)
        found = {
            name: over(name, value, ENVIRONMENT, source, given, module, "take EMAIL_URL out")
            for name, value in ours.items()
        }
    password = get("EMAIL_PASSWORD", env)
    if password and (found or not given.get("EMAIL_HOST_PASSWORD")):
        found["EMAIL_HOST_PASSWORD"] = Value(password, ENVIRONMENT, origin("EMAIL_PASSWORD", env))
    return found


def logging(name: str, given: Given, env: Env, module: str) -> Value:
    """The stack's lines in the format of LOG_FORMAT, and what the project says of loggers of its own."""
    ours = logs.logging_config(get("LOG_LEVEL", env), get("LOG_FORMAT", env))
    theirs, lost = log_files.usable(given.get(name) or {})
    value = Value(merged.logging(theirs, ours), rules.MERGED, f"{module} + stack" if theirs else rules.STACK)
    if not lost:
        return value
    files = " and ".join(f"{path} ({handler!r})" for handler, path in lost.items())
    advice = (
        f"{name} of {module} writes to {files}, which cannot be opened here. "
        "These lines go to standard output: log there, or into a folder that is there and may be written."
    )
    return value._replace(lost={"handlers": lost}, advice=advice)


def not_collected(given: Given, env: Env) -> bool:
    """Whether whitenoise serves static files from where they are: a place that collects them names STATIC_ROOT."""
    return not env.get("STATIC_ROOT")
