"""The project's own variables and secrets: what of the environment is neither the stack's nor the system's.

Variables need no rule: each role has the whole of `.env` in its environment. A secret has one: `<NAME>_FILE`, whose
file lies directly in a folder named `secrets`, is a secret of the project, and each Django role has its text in
`<NAME>`. The folder tells a secret from SSL_CERT_FILE, LOG_FILE and DJANGO_READ_DOT_ENV_FILE, which mean other things.
"""

import os

from stack.runtime.env import PROJECT_DIR, BadValue
from stack.runtime.variables import VARS

FOLDER = "secrets"
# A variable of a process holds 128 KiB at most on Linux, its name with it.
LARGEST = 100_000


def secret_files(env):
    """The project's own secrets that the mapping `env` names.

    Returns:
        dict of str to str: the variable that each role will have, to the path of the file.
    """
    found = {}
    for variable, text in env.items():
        name = variable.removesuffix("_FILE")
        if name == variable or not name or name in VARS:
            continue
        path = os.path.join(PROJECT_DIR, text)  # the one rule for relative paths, as stack/runtime/env.py has it
        if os.path.basename(os.path.dirname(path)) == FOLDER:
            found[name] = path
    return found


def project_variables(role, env):
    """What `role` gets beside `env`: each secret of the project's own, by its name.

    Args:
        role: a word of the role table, or another program that runs the project's code. Flower runs none of it.
        env: mapping of environment variables.

    Returns:
        dict of str to str. A variable that already holds its file's text is in it too, as in a process of such a role.

    Raises:
        BadValue: a file that cannot be read, is empty, no text or too large; or its variable is set to something else.
    """
    if role == "flower":
        return {}
    return {name: _value(name, path, env.get(name, "")) for name, path in secret_files(env).items()}


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
    os.environ.update(project_variables(env.get("SERVICE_ROLE", "") or "web", env))
