"""The project's settings with an ASGI application of its own, that has async views and a websocket."""

from demo.settings import *  # noqa: F403

ROOT_URLCONF = "asgi_urls"
ASGI_APPLICATION = "asgi_app.application"
