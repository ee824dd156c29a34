"""The events that Flower listens to, sent so that they can never hold up a worker's main loop."""

from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher
from celery.utils.imports import symbol_by_name
from kombu.utils.objects import cached_property

from stack.broker.routing import over


class Dispatcher(EventDispatcher):
    """Over the project's."""

    def _publish(self, event: Any, producer: Any, routing_key: str, retry: bool = False, **options: Any) -> None:
        """Send an event once; what fails is buffered until the worker has reconnected.

        Celery tries a heartbeat's event again without an end, inside the main loop: with Redis hung the loop
        stood still for as long as Redis did, and looked like a hang of the worker itself.
        """
        super()._publish(event, producer, routing_key, retry=False, **options)


class Events(CeleryEvents):
    """Over the project's."""

    @cached_property
    def Dispatcher(self) -> Any:  # noqa: N802 (Celery's name)
        base = over(Dispatcher, symbol_by_name(self.dispatcher_cls))
        return self.app.subclass_with_self(base, reverse="events.Dispatcher")
