"""The project's own variables and secrets: what of the environment is neither the stack's nor the system's.

Variables need no rule: each role has the whole of `.env` in its environment. A secret is a file: one in SECRETS_DIR
whose name is that of a variable, as STRIPE_KEY, or one that `<NAME>_FILE` names, where it lies directly in a folder
named `secrets`. Each Django role has its text in `<NAME>`. The folder tells a secret from SSL_CERT_FILE, LOG_FILE and
DJANGO_READ_DOT_ENV_FILE, which mean other things.
"""

import os

from stack.runtime.env import PROJECT_DIR, BadValue, get
from stack.runtime.variables import VARS

FOLDER = "secrets"
# A variable of a process holds 128 KiB at most on Linux, its name with it.
LARGEST = 100_000
_FIRST, _REST = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"


def is_variable(name):
    """Whether a file of this name in SECRETS_DIR is a variable; the stack's own files there are in small letters."""
    return name[:1] in _FIRST and not name.strip(_REST) and bool(name)


def secret_files(env):
    """The project's own secrets: those of SECRETS_DIR, and those that the mapping `env` names.

    Returns:
        dict of str to str: the variable that each role will have, to the path of the file.

    Raises:
        BadValue: `<NAME>_FILE` and SECRETS_DIR have two files for one variable.
    """
    folder = get("SECRETS_DIR", env) if env.get("SECRETS_DIR") else os.path.join(get("RUN_DIR", env), "secrets")
    try:
        # A folder of that name may be anybody's.
        names = [name for name in sorted(os.listdir(folder)) if is_variable(name)]
    except OSError:
        names = []
    found = {name: path for name in names if os.path.isfile(path := os.path.join(folder, name))}
    for name, path in found.items():
        if os.path.join(PROJECT_DIR, env.get(name + "_FILE") or path) != path:
            raise BadValue(f"{name}_FILE={env[name + '_FILE']!r}, and there is {path!r} too: take one of them out.")
    for variable, text in env.items():
        name = variable.removesuffix("_FILE")
        if name == variable or not name or name in VARS:
            continue
        path = os.path.join(PROJECT_DIR, text)  # the one rule for relative paths, as stack/runtime/env.py has it
        if os.path.basename(os.path.dirname(path)) == FOLDER:
            found[name] = path
    return found


def project_variables(role, env, started=False):
    """What `role` gets beside `env`: each secret of the project's own by its name, and its path as `<NAME>_FILE`.

    Args:
        role: a word of the role table, or another program that runs the project's code. Flower runs none of it.
        env: mapping of environment variables.
        started: `env` is that of a role's own process, so a variable that is set there is not read again: a process
            of a web server that is started anew has what its neighbours have, though the file was changed meanwhile.

    Returns:
        dict of str to str. A variable that already holds its file's text is in it too, as in a process of such a role.

    Raises:
        BadValue: a file that cannot be read, is empty, no text or too large; or its variable is set to something else.
    """
    if role == "flower":
        return {}
    files = secret_files(env)
    known = {name: env[name] for name in files if started and env.get(name)}
    texts = {name: known.get(name) or _value(name, path, env.get(name, "")) for name, path in files.items()}
    return texts | {f"{name}_FILE": path for name, path in files.items() if not env.get(f"{name}_FILE")}


def _value(name, path, given):
    try:
        with open(path, encoding="utf-8") as file:
            value = file.read(LARGEST + 1).strip()
    except OSError as error:
        raise BadValue(f"{name}_FILE={path!r} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadValue(f"{name}_FILE={path!r} is no text. {_ELSEWHERE}") from None
    if not value:
        raise BadValue(f"{name}_FILE={path!r} is empty.")
    if "\0" in value or len(value.encode()) > LARGEST:
        raise BadValue(
            f"{name}_FILE={path!r} holds what no variable can hold: zero bytes, or over 100 KB. {_ELSEWHERE}"
        )
    if given not in ("", value):
        raise BadValue(f"{name} and {name}_FILE are both set, and differ: take one of them out.")
    return value


_ELSEWHERE = f"Put it into a folder that is not named `{FOLDER}`, and open it in your own code."


def export(env):
    """Put `env` and the project's own secrets into this process's os.environ, where the project's settings look.

    For whoever imports the settings without `service.py` or `manage.py`, as `celery -A`; repeating it changes nothing.

    Raises:
        BadValue: as `project_variables`.
    """
    os.environ.update(env)
    role = env.get("SERVICE_ROLE", "")
    os.environ.update(project_variables(role or "web", env, started=bool(role)))
