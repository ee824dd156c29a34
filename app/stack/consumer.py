"""The worker's connection to Redis, made anew soon after an outage."""

from functools import partial
from typing import Any

from celery.worker import consumer


class Consumer(consumer.Consumer):
    """Celery's; but its pauses end at 3 s. Celery's own grow to 30 s, in which Redis is back and nobody works."""

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=1, interval_step=1, interval_max=3)
        return super().ensure_connected(conn)
