"""The worker's two mailboxes: Celery's own, and one for Flower, whose password for Redis opens no other.

Whoever may publish on a mailbox's channel may do all that its worker obeys there. So Flower has a channel of its own,
on which a worker answers questions and revokes; it obeys the rest there only with FLOWER_READ_ONLY=false.
"""

import logging
from typing import Any

from celery import bootsteps
from celery.app.control import Control as CeleryControl
from celery.worker import pidbox
from celery.worker.consumer import Control as ControlStep
from celery.worker.control import Panel
from kombu import Exchange
from kombu import pidbox as kombu_pidbox
from kombu.utils.functional import lazy

from stack.broker.masks import masked
from stack.broker.rights import FLOWER_MAILBOX
from stack.runtime.env import environment, get

logger = logging.getLogger(__name__)
# What a worker does for Flower besides answering. Flower asks for events by itself.
HARMLESS = {"revoke", "enable_events", "disable_events", "heartbeat"}
# Questions that change or cost something: `hello` revokes the ids that it is given, the others are for finding leaks.
COSTLY = {"hello", "objgraph", "memsample", "memdump"}
REFUSED = "FLOWER_READ_ONLY is true in the environment of this worker"


class Node(kombu_pidbox.Node):
    """A mailbox that answers without passwords, to whoever waits for it and into no other key.

    kombu answers to the exchange that the question names, with the worker's rights: a caller who may write no queue
    could have it write into any.
    """

    mailbox: Any
    channel: Any
    state: Any

    def reply(self, data: Any, exchange: str, routing_key: str, ticket: str, **options: Any) -> None:
        queue = f"{routing_key}.{self.mailbox.reply_exchange.name}"
        # One that has stopped waiting has unbound its queue; an answer would lie there for ever.
        if queue not in {bound[-1] for bound in self.channel.get_table(self.mailbox.reply_exchange.name)}:
            return
        with self.mailbox.producer_or_acquire(None, self.channel) as producer:
            producer.publish(
                masked(data),
                exchange=Exchange(""),  # straight into the queue: the caller writes the table of bindings
                routing_key=queue,
                headers={"ticket": ticket, "clock": self.mailbox.clock.forward()},
                serializer=self.mailbox.serializer,
                retry=True,
            )


class Mailbox(kombu_pidbox.Mailbox):
    """kombu's, with the node above."""

    node_cls = Node


class Control(CeleryControl):
    """Celery's, with the mailbox above."""

    Mailbox = Mailbox


class FlowerNode(Node):
    """The mailbox in which Flower asks."""

    def handle(self, method: str, arguments: Any = None) -> Any:
        if self.state.read_only and not answers(method, arguments or {}):
            logger.warning("%.50r of Flower is refused: %s", method, REFUSED)
            return {"error": REFUSED}
        return super().handle(method, arguments)


def answers(method: str, arguments: dict[str, Any]) -> bool:
    """Whether a worker does this for a Flower that may change nothing: questions, and revoking what has not begun."""
    if method == "revoke":
        return not arguments.get("terminate")
    if method in HARMLESS:
        return True
    names = {about.alias or name: name for name, about in Panel.meta.items()} | {name: name for name in Panel.meta}
    name = names.get(method)
    return name is not None and Panel.meta[name].type == "inspect" and name not in COSTLY


def for_flower(consumer: Any, own: Any) -> FlowerNode:
    """The node of Flower's mailbox; `own` is that of Celery's, with the same name and state."""
    app, mailbox = consumer.app, own.mailbox
    flowers = Mailbox(
        FLOWER_MAILBOX,
        type="fanout",
        accept=mailbox.accept,
        serializer=mailbox.serializer,
        producer_pool=lazy(lambda: app.amqp.producer_pool),
        queue_ttl=mailbox.queue_ttl,
        queue_expires=mailbox.queue_expires,
    )
    own.state.read_only = get("FLOWER_READ_ONLY", environment())
    return FlowerNode(own.hostname, own.state, handlers=Panel.data, mailbox=flowers)


class FlowerPidbox(pidbox.Pidbox):
    """Celery's, with Flower's node."""

    node: Any

    def __init__(self, consumer: Any):
        super().__init__(consumer)
        self.node = for_flower(consumer, self.node)


class FlowerGreenPidbox(pidbox.gPidbox):
    """The same for green pools."""

    node: Any

    def __init__(self, consumer: Any):
        super().__init__(consumer)
        self.node = for_flower(consumer, self.node)


class FlowerControl(bootsteps.StartStopStep):
    """Celery's step `Control` once more, which starts, stops and reconnects with the worker's connection."""

    requires = (ControlStep,)

    def __init__(self, consumer: Any, **options: Any):
        green = consumer.pool is not None and consumer.pool.is_green
        box = (FlowerGreenPidbox if green else FlowerPidbox)(consumer)
        self.start, self.stop, self.shutdown = box.start, box.stop, box.shutdown
        super().__init__(consumer, **options)

    def include_if(self, consumer: Any) -> bool:
        return bool(consumer.app.conf.worker_enable_remote_control)
