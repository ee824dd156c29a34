"""Django's settings: production by default; every value that differs by place comes from the environment.

The variables are declared in stack/runtime/variables.py; `.env.example` lists them with their meaning.
"""

import warnings
from pathlib import Path
from typing import Any

from stack.runtime import logs
from stack.runtime.env import environment, get

ENV = environment()
ROLE = get("SERVICE_ROLE", ENV)
BASE_DIR = Path(__file__).resolve().parent.parent
RUN_DIR = Path(get("RUN_DIR", ENV))

# ---- Your project: its apps, and its periodic tasks further down --------------------------------

PROJECT_APPS = ["demo"]

# ---- Django -------------------------------------------------------------------------------------

DEBUG = get("DEBUG", ENV)
SECRET_KEY = get("SECRET_KEY", ENV)
ALLOWED_HOSTS = get("ALLOWED_HOSTS", ENV)
CSRF_TRUSTED_ORIGINS = get("CSRF_TRUSTED_ORIGINS", ENV)
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "django_structlog",
    "ninja",
    "stack",
    *PROJECT_APPS,
]
MIDDLEWARE = [
    "stack.http.proxies.TrustedProxies",
    "stack.http.middleware.Probes",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "stack.http.middleware.Requests",
    "stack.http.uploads.Uploads",
    "stack.http.middleware.ApiErrors",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler", "stack.http.uploads.TemporaryFile"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 6 * 1024 * 1024  # stack.http.guard has the limit of each call

# ---- Database and mail --------------------------------------------------------------------------

# The default is no URL, in which the spaces and backslashes of a path would have to be escaped.
DATABASES: dict[str, dict[str, Any]] = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": RUN_DIR / "db.sqlite3"}
}
if DATABASE := get("DATABASE_URL", ENV):
    DATABASES["default"] = DATABASE
if DATABASE_PASSWORD := get("DATABASE_PASSWORD", ENV):
    DATABASES["default"]["PASSWORD"] = DATABASE_PASSWORD
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # A server that hangs must not hold a request longer than one that is down. Only the web waits for so short a time
    # (stack/http/database.py); elsewhere psycopg makes two seconds of it.
    DATABASES["default"]["OPTIONS"] = {"connect_timeout": 1} | DATABASES["default"].get("OPTIONS", {})
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Writers of several processes wait for each other instead of failing with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL",
    } | DATABASES["default"].get("OPTIONS", {})

vars().update(get("EMAIL_URL", ENV))
if EMAIL_PASSWORD := get("EMAIL_PASSWORD", ENV):
    EMAIL_HOST_PASSWORD = EMAIL_PASSWORD

# ---- Time, static files, logs -------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = get("TIME_ZONE", ENV)
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"
# The image has static files collected; a checkout has not, and serves them from where they are.
if WHITENOISE_USE_FINDERS := not STATIC_ROOT.is_dir():
    warnings.filterwarnings("ignore", "No directory at", UserWarning)
LOGGING = logs.logging_config(get("LOG_LEVEL", ENV), get("LOG_FORMAT", ENV))
DJANGO_STRUCTLOG_CELERY_ENABLED = True
IPWARE_META_PRECEDENCE_ORDER = ("REMOTE_ADDR",)  # the `ip` of each line; stack.http.proxies has put the client there

# ---- Security behind a proxy that ends TLS ------------------------------------------------------
# No SECURE_PROXY_SSL_HEADER: stack.http.proxies knows which proxy may say that a request came by TLS.

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
SILENCED_SYSTEM_CHECKS = [
    "security.W004",  # HSTS is the proxy's to send: it knows whether every host of the domain has TLS
    "security.W008",  # the redirect to https is the proxy's too; health checks speak plain HTTP
]

# ---- Celery -------------------------------------------------------------------------------------
# The broker, the result backend and everything that differs by role: stack/broker/configuration.py.

CELERY_TIMEZONE = TIME_ZONE
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_TASK_DEFAULT_QUEUE = "default"
# A task is acknowledged when it is done; one whose process dies is tried again, a bounded number of times.
CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = CELERY_TASK_RETRY_ON_WORKER_LOST = True
CELERY_TASK_TRACK_STARTED = True
CELERY_RESULT_CHORD_EXPIRES = 7 * 86400  # a chord's body never runs once its counter has expired
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_IMPORTS = ("stack.tasks",)

# ---- Your periodic tasks ------------------------------------------------------------------------
# Beat takes entries from here once; later changes made at run time stay (`make schedules-reset` undoes them).

from demo.schedules import SCHEDULES as CELERY_BEAT_SCHEDULE  # noqa: E402, F401
