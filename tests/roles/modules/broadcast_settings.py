"""The project's settings with a queue whose tasks every worker runs."""

from kombu import Queue
from kombu.common import Broadcast

from demo.settings import *  # noqa: F403

CELERY_TASK_QUEUES = [Queue("celery"), Broadcast("everyone")]
