"""Files under ASGI: Django would read what a sync view streams into memory as a whole, and warn of it."""

from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

END = object()


async def pieces(response: Any) -> AsyncIterator[Any]:
    """What a response streams, one piece at a time, each read in the request's own thread."""
    if response.is_async:
        async for piece in response.streaming_content:
            yield piece
        return
    content = iter(response.streaming_content)
    take: Any = sync_to_async(next)
    while (piece := await take(content, END)) is not END:
        yield piece


def install() -> None:
    """Have every response of this process, the static files too, streamed so."""
    StreamingHttpResponse.__aiter__ = pieces  # type: ignore[method-assign, assignment]
