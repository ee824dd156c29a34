"""The project's settings with addresses of its own that take uploads."""

from demo.settings import *  # noqa: F403

ROOT_URLCONF = "uploads_urls"
