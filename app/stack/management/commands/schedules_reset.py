"""Put the periodic tasks of the settings back as the file has them."""

from typing import Any

import redis
from celery import current_app
from django.core.management.base import BaseCommand, CommandError
from kombu.exceptions import OperationalError
from redbeat.schedulers import ensure_conf

from stack.beat.scheduler import Scheduler
from stack.broker.connections import answer_of
from stack.state.entries import install_entries
from stack.state.stored import wrong_key


class Command(BaseCommand):
    help = "Undo run-time changes to the schedules of the settings; other schedules stay."

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_conf(current_app)
        scheduler = Scheduler(current_app._get_current_object())
        try:
            install_entries(current_app, scheduler.from_settings, reset=True)
        except (redis.RedisError, OperationalError) as error:
            if answer_of(error):
                raise CommandError(wrong_key(current_app) or f"Redis says: {error}") from error
            raise CommandError(f"nothing was changed, Redis does not answer (`make up` starts it): {error}") from error
        self.stdout.write(f"restored: {', '.join(scheduler.from_settings)}")
