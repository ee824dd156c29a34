"""An ordinary project with Django's admin, which knows of no proxy: what the tutorial adds, and nothing else."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "admin_urls"
INSTALLED_APPS += [  # noqa: F405
    "django.contrib.admin",
    "django.contrib.messages",
    "django.contrib.sessions",
]
MIDDLEWARE += [  # noqa: F405
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
