"""Put the periodic tasks of the settings back as the file has them."""

from typing import Any

import redis
from celery import current_app
from celery.utils.imports import symbol_by_name
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from kombu.exceptions import OperationalError
from redbeat.schedulers import ensure_conf

from stack.beat.scheduler import Scheduler
from stack.broker.connections import answer_of
from stack.state import chosen
from stack.state.installing import install_entries
from stack.state.stored import wrong_key


class Command(BaseCommand):
    help = "Undo run-time changes to the schedules of the settings; other schedules stay."

    def handle(self, *args: Any, **options: Any) -> None:
        keeper = chosen.kind(current_app)
        if keeper == chosen.SETTINGS:
            raise CommandError(
                f"nothing to restore: beat uses {chosen.name()}, which takes its schedules from the settings at start."
            )
        names = _rows() if keeper == chosen.DATABASE else _entries()
        self.stdout.write(f"restored: {', '.join(names)}")


def _entries() -> list[str]:
    ensure_conf(current_app)
    scheduler = Scheduler(current_app._get_current_object())
    try:
        install_entries(current_app, scheduler.from_settings, reset=True)
    except (redis.RedisError, OperationalError) as error:
        if answer_of(error):
            raise CommandError(wrong_key(current_app) or f"Redis says: {error}") from error
        raise CommandError(f"nothing was changed, Redis does not answer (`make up` starts it): {error}") from error
    return list(scheduler.from_settings)


@transaction.atomic
def _rows() -> list[str]:
    """As django_celery_beat's scheduler does at each start, and switched on again."""
    entry = symbol_by_name("django_celery_beat.schedulers:ModelEntry")
    found = current_app.conf.beat_schedule
    for name, fields in found.items():
        entry.from_entry(name, app=current_app._get_current_object(), **{"enabled": True, **fields})
    return list(found)
