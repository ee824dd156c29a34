"""Django's command line, with the project's environment."""

import os
import signal
import sys
from pathlib import Path

from stack.ops import secretfiles
from stack.runtime.env import environment, get

if __name__ == "__main__":
    # As the first process of a container, `migrate` and `wait` would not hear TERM without a handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.update(environment())
    if not os.environ.get("SECRET_KEY_FILE") and not os.environ.get("SECRET_KEY"):
        # In a checkout, as `make up` does: `makemigrations` may come before the first start.
        secretfiles.make(Path(get("RUN_DIR", os.environ)) / "secrets")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
