"""Its settings."""

import os

SECRET_KEY = "of the ledger, fifty letters long or more, as Django says"
INSTALLED_APPS = ["django.contrib.contenttypes", "ledger"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "app",
        "HOST": os.environ.get("LEDGER_HOST", "127.0.0.1"),
        "PORT": os.environ.get("LEDGER_PORT", ""),
        "CONN_MAX_AGE": int(os.environ.get("LEDGER_MAX_AGE", "0")),
        "ATOMIC_REQUESTS": os.environ.get("LEDGER_ATOMIC") == "yes",
    }
}
USE_TZ = True
ROOT_URLCONF = "ledger.urls"
CELERY_BROKER_URL = "redis://localhost:6379/0"
CELERY_RESULT_BACKEND = "redis://localhost:6379/0"
if os.environ.get("LEDGER_RESULTS"):
    CELERY_RESULT_BACKEND = os.environ["LEDGER_RESULTS"]
    INSTALLED_APPS.append("django_celery_results")
CELERY_TASK_TRACK_STARTED = True
if os.environ.get("LEDGER_REUSE"):
    CELERY_DB_REUSE_MAX = int(os.environ["LEDGER_REUSE"])
