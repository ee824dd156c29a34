"""Flower 2.2 with what it lacks in production; every name of Flower's that this replaces is checked at import.

An outage of Redis blinds it for seconds, not for as long as the outage was, and does not keep it from ending; a worker
that has gone leaves memory; and it writes no key that is not its own. flower_web.py has what concerns HTTP.
"""

import logging
import time
from functools import partialmethod
from typing import Any

import flower.app
import flower.command
from celery.events import EventReceiver
from flower.events import Events
from kombu import Connection
from kombu.transport.redis import Channel
from tornado.ioloop import PeriodicCallback

from stack.broker.rights import FLOWER_DEADLINES
from stack.monitoring import flower_web

logger = logging.getLogger(__name__)


class Receiver(EventReceiver):
    """Celery's, which also notices a connection that Redis no longer answers on."""

    # Whoever fails tells the listener, which tries again: kombu's own pauses grow to 30 s.
    connect_max_retries = 1

    def on_consume_ready(self, connection: Any, channel: Any, consumers: Any, **kwargs: Any) -> None:
        self.poller = connection.transport.cycle
        super().on_consume_ready(connection, channel, consumers, **kwargs)

    def on_iteration(self) -> None:
        # Called each second at least. kombu does this itself in a worker's event loop, which Flower has not; without
        # it Flower would hear nothing for ever after a firewall or a node took the connection away in silence.
        self.poller.maybe_check_subclient_health()


class Listener(Events):
    """Flower's thread that listens to the workers' events."""

    # Milliseconds. A worker that has connected again sends no events until Flower asks it to.
    events_enable_interval = 2000

    def run(self) -> None:
        """Listen for ever, a second after each failure again; Flower's own doubles its pause without an end."""
        while True:
            try:
                with self.capp.connection() as connection:
                    Receiver(connection, handlers={"*": self.on_event}, app=self.capp).capture()
            except Exception as error:
                logger.warning("no events: %s; trying again in a second", error)
                time.sleep(1)


class Monitor(flower.app.Flower):
    """Flower's web application, which forgets workers that have gone and takes no large request."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.add_transform(flower_web.Hardened)

    def start_http_server(self) -> int:
        return flower_web.serve(self)

    def start(self) -> None:
        PeriodicCallback(self.forget_gone_workers, 60_000).start()
        # Flower asks workers for their queues when it starts, and then when somebody presses refresh.
        PeriodicCallback(self.update_workers, 60_000).start()
        super().start()

    def forget_gone_workers(self) -> None:
        """Drop all that is known of workers that were last seen `purge_offline_workers` seconds ago.

        Every deploy of containers brings workers with new names, and Flower itself would keep the old ones' settings
        and counters, and their metrics for as long as nobody reads those.
        """
        state, known = self.events.state, self.inspector.workers
        oldest = time.time() - self.options.purge_offline_workers
        for name in {*state.workers, *state.counter, *known}:
            beats = state.workers[name].heartbeats if name in state.workers else ()
            if max([*beats, known.get(name, {}).get("timestamp", 0)]) < oldest:
                for place in (state.workers, state.counter, known):
                    place.pop(name, None)
                state.metrics.remove_workers({name})


def install() -> None:
    """Put the classes above in place of Flower's; an AttributeError here means a version that does not fit."""
    for module, name, ours in ((flower.app, "Events", Listener), (flower.command, "Flower", Monitor)):
        getattr(module, name)
        setattr(module, name, ours)
    # What it asks of workers waits for a Redis that is away without an end, and so would a Flower that stops.
    setattr(Connection, "ensure", partialmethod(Connection.ensure, max_retries=1))  # noqa: B010
    # kombu's script deletes every table of bindings whose deadline here has passed, whoever's it is.
    getattr(Channel, "keyprefix_binding_deadlines")  # noqa: B009
    Channel.keyprefix_binding_deadlines = FLOWER_DEADLINES
