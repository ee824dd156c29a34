"""The project's settings with one schedule that uses every field."""

from demo.settings import *  # noqa: F403

CELERY_BEAT_SCHEDULE = {
    "report": {
        "task": "send_mail",
        "schedule": 1.0,
        "args": ("reports@example.com",),
        "kwargs": {"subject": "Now", "body": "It is time."},
        "options": {"queue": "reports", "expires": 90, "priority": 3},
    }
}
