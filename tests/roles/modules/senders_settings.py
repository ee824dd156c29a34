"""The project's settings with views of its own that send tasks."""

from demo.settings import *  # noqa: F403

ROOT_URLCONF = "senders_urls"
