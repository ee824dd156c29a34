"""What only the next version of the project knows."""

from celery import shared_task


@shared_task(name="only_in_the_next_version")
def only_in_the_next_version() -> str:
    return "done"
