"""The project's settings with one schedule, whose messages take two seconds to be sent."""

import time
from typing import Any

from celery.signals import before_task_publish

from demo.settings import *  # noqa: F403

CELERY_BEAT_SCHEDULE = {"ping": {"task": "ping", "schedule": 5.0}}


@before_task_publish.connect
def take_long(**_: Any) -> None:
    print("on its way", flush=True)
    time.sleep(2)
