"""The project's settings with Django's own tasks."""

from demo.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "jobs"]  # noqa: F405
BACKEND = {"BACKEND": "stack.django_tasks.CeleryBackend"}
TASKS = {
    "default": BACKEND | {"QUEUES": ["default", "mail"]},
    "any": BACKEND | {"QUEUES": []},
    "committed": BACKEND | {"OPTIONS": {"ENQUEUE_ON_COMMIT": True}},
}
