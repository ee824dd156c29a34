"""Feed Flower what a worker says of so many tasks, without running them: python -m bench.events 50000

It takes Redis and its password from the environment, as the worker does.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

WORKER = "worker@feeder"


def feed(app: Any, count: int) -> str:
    """Send the events of `count` tasks, each with the fields that a worker's have; returns the last one's id."""
    from kombu.utils.uuid import uuid

    last = ""
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, hostname=WORKER, buffer_while_offline=False)
        for number in range(count):
            last = uuid()
            dispatcher.send(
                "task-received",
                uuid=last,
                name="add",
                args=f"({number}, {number})",
                kwargs="{}",
                retries=0,
                eta=None,
                expires=None,
                root_id=last,
                parent_id=None,
            )
            dispatcher.send("task-started", uuid=last)
            dispatcher.send("task-succeeded", uuid=last, result=str(2 * number), runtime=0.01)
            if number % 500 == 499:
                time.sleep(0.15)  # Redis cuts off a subscriber that falls too far behind
    return last


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "app"))
    os.environ |= {"SERVICE_ROLE": "worker", "DJANGO_SETTINGS_MODULE": "stack.settings", "LOG_LEVEL": "ERROR"}
    import django

    django.setup()
    from stack.celery import app

    print(feed(app, int(sys.argv[1])))


if __name__ == "__main__":
    main()
