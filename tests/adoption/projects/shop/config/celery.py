"""The shop's jobs: its own application, its own base class, its own failures in its own log."""

import os

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

app = Celery("shop_jobs", task_cls="orders.base:ShopTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.task_failure.connect
def note_failure(task_id=None, exception=None, **kwargs):
    from orders.models import Run

    Run.objects.create(label=f"failed {exception}")
