"""A project that does not include the stack's addresses, and may send every browser to https."""

import os

from demo.settings import *  # noqa: F403

ROOT_URLCONF = "elsewhere_urls"
SECURE_SSL_REDIRECT = "HTTPS_ONLY" in os.environ
