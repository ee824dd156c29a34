"""The base of the shop's tasks. It replaces what Celery does there, and calls nothing of it."""

from celery.contrib.django.task import DjangoTask


class ShopTask(DjangoTask):
    abstract = True
    autoretry_for = (ConnectionError,)
    retry_backoff = 1

    def before_start(self, task_id, args, kwargs):
        self.started = True

    def __call__(self, *args, **kwargs):
        return self.run(*args, **kwargs)

    def on_success(self, retval, task_id, args, kwargs):
        self.last = retval

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        self.last = exc
