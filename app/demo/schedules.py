"""The demo's periodic tasks: the tutorial's two, a timedelta, and a schedule class of our own."""

from datetime import timedelta

from celery.schedules import crontab

from stack.state.schedules import last_business_day

SCHEDULES = {
    "add_every_30_seconds": {"task": "add", "schedule": 30.0, "args": (14, 5)},
    # Mondays at 20:20 in TIME_ZONE.
    "xsum_week1_20_20_00": {
        "task": "xsum",
        "schedule": crontab(hour=20, minute=20, day_of_week=1),
        "args": ([1, 2, 3, 4],),
    },
    "summarize_every_6_hours": {
        "task": "summarize",
        "schedule": timedelta(hours=6),
        "kwargs": {"dataset": "seattle-weather"},
        "options": {"expires": 3600},
    },
    "mail_on_the_last_business_day": {
        "task": "send_mail",
        "schedule": last_business_day(hour=9),
        "kwargs": {"to": "reports@example.com", "subject": "Month's end", "body": "The month is over."},
    },
}
