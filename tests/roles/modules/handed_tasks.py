"""Tasks whose annotations say what they take, for what is handed to them."""

from typing import Annotated, Any

from celery import shared_task
from pydantic import Field

Label = Annotated[str, Field(pattern="^[a-z]+$")]


@shared_task(name="small", api=True)
def small(number: Annotated[int, Field(le=1000)]) -> int:
    return number


@shared_task(name="word", api=True)
def word(text: str) -> str:
    return text


@shared_task(name="labels", api=True)
def labels(names: list[Label]) -> int:
    return len(names)


@shared_task(name="again", api=True, bind=True)
def again(self: Any, number: int) -> Any:
    """Retries once as it was called, and then says whether its message is still known to have come by the API."""
    if not self.request.retries:
        raise self.retry(countdown=0)
    return (self.request.headers or {}).get("stack_from_api", False)


@shared_task(name="other", api=True, bind=True)
def other(self: Any, number: int) -> Any:
    """Retries once with what no caller of the API may give."""
    if not self.request.retries:
        raise self.retry(args=["text"], kwargs={}, countdown=0)
    return number


@shared_task(name="exact", checked=True)
def exact(number: int) -> int:
    return number


@shared_task(name="anything", api=True)
def anything(value: Any, other: Any = None) -> None:
    """Takes what JSON holds."""
