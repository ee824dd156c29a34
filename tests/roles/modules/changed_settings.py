"""The project's settings after a deploy that changed one schedule and removed another."""

from demo.settings import *  # noqa: F403
from demo.settings import CELERY_BEAT_SCHEDULE as BEFORE

CELERY_BEAT_SCHEDULE = {name: entry for name, entry in BEFORE.items() if name != "xsum_week1_20_20_00"}
CELERY_BEAT_SCHEDULE["add_every_30_seconds"] = BEFORE["add_every_30_seconds"] | {"args": (7, 7)}
