"""Tasks that a stop meets: one that does not end when asked to, one that waits for its retry, one for its rate."""

import contextlib
import time
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from celery import shared_task


@shared_task(name="stubborn")
def stubborn() -> None:
    with contextlib.suppress(SoftTimeLimitExceeded):
        time.sleep(60)
    time.sleep(60)


@shared_task(name="later", bind=True)
def later(self: Any) -> None:
    raise self.retry(countdown=300)


@shared_task(name="seldom", rate_limit="1/h")
def seldom() -> None:
    """Runs once an hour."""
