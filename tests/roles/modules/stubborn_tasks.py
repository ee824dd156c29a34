"""A task that does not end when it is asked to."""

import contextlib
import time

from billiard.exceptions import SoftTimeLimitExceeded
from celery import shared_task


@shared_task(name="stubborn")
def stubborn() -> None:
    with contextlib.suppress(SoftTimeLimitExceeded):
        time.sleep(60)
    time.sleep(60)
