"""Django's command line, with the project's environment."""

import os
import sys

from stack.env import environment

if __name__ == "__main__":
    os.environ.update(environment())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
