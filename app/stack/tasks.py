"""Tasks that every project has."""

from celery import shared_task


@shared_task(name="ping", api=True)
def ping() -> str:
    """Answer "pong": proves the chain from HTTP to a worker and back.

    Touches nothing, so running it twice is safe.
    """
    return "pong"
