"""The demo's tasks: thin functions over plain JSON."""

import math
import time
from typing import Annotated, Any

import structlog
from celery import group, shared_task
from django.core import mail
from pydantic import BeforeValidator, Field

from demo.base import HookedTask
from demo.statistics import summary
from demo.store import keep_report, read_rows

logger = structlog.get_logger(__name__)
demo_task: dict[str, Any] = {"base": HookedTask, "api": True}


def _no_int(value: Any) -> Any:
    # pydantic takes an int for a float even when strict, and so would let any int past the bound below.
    if isinstance(value, int):
        raise ValueError("an integer must be between -2**53 and 2**53")
    return value


# Numbers that JSON and JavaScript carry without loss.
Number = (
    Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
    | Annotated[float, BeforeValidator(_no_int), Field(strict=True, allow_inf_nan=False)]
)
Line = Annotated[str, Field(max_length=200, pattern=r"^[^\r\n]*$")]


def _finite(number: Number) -> Number:
    # JSON has no infinity, and a result that cannot be read is worse than a failed task.
    if not math.isfinite(number):
        raise OverflowError("the result is too large for a number")
    return number


@shared_task(name="add", **demo_task)
def add(x: Number, y: Number) -> Number:
    """Add two numbers.

    Pure, so running it twice is safe.
    """
    return _finite(x + y)


@shared_task(name="mul", **demo_task)
def mul(x: Number, y: Number) -> Number:
    """Multiply two numbers.

    Pure, so running it twice is safe.
    """
    return _finite(x * y)


@shared_task(name="xsum", **demo_task)
def xsum(numbers: Annotated[list[Number], Field(max_length=100_000)]) -> Number:
    """Add up a list of numbers.

    Pure, so running it twice is safe.
    """
    return _finite(sum(numbers))


@shared_task(name="sleep", **demo_task)
def sleep(seconds: Annotated[float, Field(ge=0, le=3600)]) -> float:
    """Wait for some seconds: a stand-in for slow work.

    Touches nothing, so running it twice is safe.
    """
    time.sleep(seconds)
    return seconds


@shared_task(name="fail", **demo_task)
def fail(message: Annotated[str, Field(max_length=1000)]) -> None:
    """Fail with a message.

    Touches nothing, so running it twice is safe.
    """
    raise ValueError(message)


@shared_task(name="flaky", bind=True, max_retries=4, **demo_task)
def flaky(self: Any, failures: Annotated[int, Field(ge=0, le=100)]) -> dict[str, Any]:
    """Fail that many times before it succeeds; it is tried again after 4 s, 4 times at most.

    It only counts its own retries, so running it twice is safe.
    """
    attempt = self.request.retries
    logger.info("flaky runs", name=self.name, id=self.request.id, attempt=attempt)
    if attempt < failures:
        raise self.retry(exc=RuntimeError(f"attempt {attempt + 1} failed as asked"), countdown=4, max_retries=4)
    return {"name": self.name, "id": self.request.id, "attempts": attempt + 1}


@shared_task(name="summarize", bind=True, **demo_task)
def summarize(self: Any, dataset: Annotated[str, Field(max_length=200)]) -> dict[str, Any]:
    """Statistics of a CSV by column, with progress: the id of an uploaded one, or `seattle-weather`.

    Its report is one row for each task id, so running it twice is safe.
    """

    def progress(current: int, total: int) -> None:
        if not self.request.is_eager:  # `summarize.apply()`, as in a test: there may be no store of results
            self.update_state(state="PROGRESS", meta={"current": current, "total": total})

    rows, total = read_rows(dataset)
    result = summary(rows, total, progress)
    keep_report(dataset, self.request.id, result)
    return result


@shared_task(name="group_task", bind=True, **demo_task)
def group_task(self: Any, size: Annotated[int, Field(ge=1, le=1000)]) -> Any:
    """The sum of a group of `add(i, i)`: the task becomes the canvas, and waits for nothing in a worker's slot.

    Pure, so running it twice is safe.
    """
    return self.replace(group(add.s(number, number) for number in range(size)) | xsum.s())


@shared_task(name="send_mail", **demo_task)
def send_mail(
    to: Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")],
    subject: Line,
    body: Annotated[str, Field(max_length=100_000)],
) -> int:
    """Send a mail through Django's mail backend, which prints it to the log unless EMAIL_URL says otherwise.

    Running it twice sends the mail twice: a worker that dies after sending is the one case.
    """
    return mail.send_mail(subject, body, None, [to])
