"""The unit ring imports the project; it needs no network and no service."""

import os

import django

os.environ.update(SECRET_KEY="u" * 50, REDIS_PASSWORD="unused", FLOWER_PASSWORD="unused", LOG_LEVEL="ERROR")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
