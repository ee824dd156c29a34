"""The project's settings with an entry that lacks an argument of its task, beside one that fits."""

from demo.settings import *  # noqa: F403

CELERY_BEAT_SCHEDULE = {
    "does not fit": {"task": "add", "schedule": 1.0, "args": (1,)},
    "fits": {"task": "ping", "schedule": 1.0},
}
