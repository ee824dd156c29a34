"""Its settings."""

import os

SECRET_KEY = "of the stranger, fifty letters long or more, as Django says"
INSTALLED_APPS = ["django.contrib.contenttypes", "stranger"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
USE_TZ = True
CELERY_BROKER_URL = "redis://localhost:6379/0"
CELERY_RESULT_BACKEND = os.environ.get("STRANGER_RESULTS", "redis://localhost:6379/0")
CELERY_TASK_IGNORE_RESULT = os.environ.get("STRANGER_IGNORES") == "yes"
CELERY_TASK_ROUTES = {"mail.*": {"queue": "mail"}}
