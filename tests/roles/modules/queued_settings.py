"""A project that names queues in each way that Celery knows, and whose web looks for those without a worker at once."""

import re

from kombu import Exchange, Queue

from demo.settings import *  # noqa: F403

CELERY_IMPORTS = ["queued_tasks"]
CELERY_TASK_QUEUES = [
    Queue("media", Exchange("media", type="topic"), routing_key="media.#", queue_arguments={"x-max-priority": 10})
]
CELERY_TASK_ROUTES = (
    [("mails.*", {"queue": "emails"}), (re.compile(r"clips\..*"), "clips")],
    "queued_tasks.route",
    {"pictures.shrink": {"queue": "media", "routing_key": "media.pictures"}},
)
CELERY_BEAT_SCHEDULE = {"report": {"task": "ping", "schedule": 3600.0, "options": {"queue": "nightly"}}}
