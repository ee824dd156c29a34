"""Tasks of that project, and a function that says where some of them go."""

from typing import Any

from celery import shared_task

from stack.http import unserved

unserved.EVERY = 1  # second, so that web looks for queues without a worker at once


def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> dict[str, str] | None:
    if name == "by_argument":
        return {"queue": f"region-{args[0]}"}  # raises where nobody gave one
    return {"queue": "asked"} if name == "by_function" else None


def _task(name: str, **options: Any) -> None:
    @shared_task(bind=True, name=name, **options)
    def run(self: Any, *_: Any) -> str:
        return str(self.request.delivery_info["routing_key"])


for each in ("mails.send", "clips.cut", "pictures.shrink", "by_function", "by_argument", "plain"):
    _task(each)
_task("of_its_own", queue="own")
