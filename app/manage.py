"""Django's command line, with the project's environment, settings and folder."""

import os
import signal
import sys
from pathlib import Path

from stack.ops import secretfiles
from stack.runtime.env import BadValue, environment, get
from stack.runtime.project import enter


def main() -> None:
    """Run the command that the arguments name, as Django's own manage.py does."""
    env = environment()
    os.chdir(enter(env).dir)
    if not env.get("SECRET_KEY_FILE") and not env.get("SECRET_KEY"):
        # In a checkout, as `make up` does: `makemigrations` may come before the first start.
        secretfiles.make(Path(get("RUN_DIR", env)) / "secrets")
    from django.core.management import execute_from_command_line

    from stack.adopted import SettingsFailed

    try:
        import stack.celery
        import stack.settings  # noqa: F401 (Django would hide what they raise, and blame the command's options)
    except SettingsFailed as reason:
        sys.exit(f"manage.py: {reason}")

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    # As the first process of a container, `migrate` and `wait` would not hear TERM without a handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except BadValue as reason:
        sys.exit(f"manage.py: {reason}")
