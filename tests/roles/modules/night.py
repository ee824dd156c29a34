"""Beat's own loop over some hours, five minutes a turn: `night.py <start> <hours>`, in TIME_ZONE; prints what it sent.

Redis, the project's Celery app and the scheduler are real; time alone is not.
"""

import json
import os
import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import django
import time_machine
from celery.schedules import crontab, schedule
from celery.signals import before_task_publish

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stack.settings")
django.setup()

from stack.beat.scheduler import Scheduler  # noqa: E402
from stack.celery import app  # noqa: E402
from stack.runtime.heartbeat import Heartbeat  # noqa: E402
from stack.state.entries import Entry  # noqa: E402

SCHEDULES = {
    "ten-minutes": schedule(600),
    "hour-on-the-hour": schedule(3600, relative=True),
    "*/10 * * * *": crontab(minute="*/10"),
    "0 * * * *": crontab(minute=0),
    "*/30 2 * * *": crontab(minute="*/30", hour=2),
    "45 1 * * *": crontab(minute=45, hour=1),
    "15,45 2 * * *": crontab(minute="15,45", hour=2),
    "0 5 * * *": crontab(minute=0, hour=5),
}
zone = ZoneInfo(os.environ["TIME_ZONE"])
start = datetime.fromisoformat(sys.argv[1]).replace(tzinfo=zone)
sent: dict[str, list[str]] = {name: [] for name in SCHEDULES}
announced: dict[str, str] = {}
wrong: list[str] = []


@before_task_publish.connect
def note(sender: str, **_: object) -> None:
    now = datetime.now(zone)
    sent[sender].append(now.isoformat(timespec="minutes"))
    # What the API would have said a turn ago. An entry without an end gets its moment to the second.
    if abs((datetime.fromisoformat(announced[sender]) - now).total_seconds()) > 1:
        wrong.append(f"{sender}: announced for {announced[sender]}, sent at {now.isoformat()}")


app.conf.beat_schedule = {name: {"task": name, "schedule": each} for name, each in SCHEDULES.items()}
with time_machine.travel(start, tick=False) as clock:
    beat = Scheduler(app)
    # One that no thread watches: its main loop stands still while time travels.
    beat.heartbeat = Heartbeat(os.path.join(os.environ["RUN_DIR"], "night"), 60)
    # Every moment of the schedules is a multiple of five minutes: what beat sent between two would show as wrong.
    for _ in range(int(sys.argv[2]) * 12 + 1):
        beat.tick()
        for name in SCHEDULES:
            due = Entry.from_key(Entry.generate_key(app, name), app=app).due_at
            announced[name] = (due + timedelta(seconds=0.5)).astimezone(zone).isoformat(timespec="seconds")
        clock.shift(300)
print(json.dumps({"sent": sent, "wrong": wrong}))
