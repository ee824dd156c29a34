"""An ordinary project with Django's admin, which knows of no proxy: what the tutorial adds, and nothing else."""

from demo.settings import *  # noqa: F403

ROOT_URLCONF = "admin_urls"
