from .base import *  # noqa: F403

SESSION_COOKIE_NAME = "shop"
SECURE_CONTENT_TYPE_NOSNIFF = True
