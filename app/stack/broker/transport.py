"""kombu's Redis transport through a lost connection: what runs is neither repeated nor lost.

When a worker's connection breaks, kombu 5.7 closes the channel and puts every unacknowledged message back
into its queue, those of tasks that still run among them: with Redis up again they run twice. With Redis down
that fails, ends the worker with an AttributeError, and the task that finishes meanwhile is acknowledged on a
channel that no longer exists: its message stays in `unacked` and runs again after VISIBILITY_TIMEOUT.

So a channel restores nothing by itself here. A closed channel acknowledges over a new connection, and the
worker requeues what it holds and does not run: after a reconnect, and when it stops.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Any

from celery import current_app
from kombu.transport import redis
from redis import connection as redis_connection
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisHangs

from stack.broker.connections import refused_for_now
from stack.broker.keys import is_wrong_type
from stack.runtime import heartbeat

logger = logging.getLogger(__name__)
_done: set[str] = set()  # tags of tasks that ended while Redis was away: acknowledged once it is back


@contextmanager
def fresh_qos() -> Iterator[Any]:
    """The book-keeping of unacknowledged messages over a connection of its own, which is tried twice.

    Raises:
        kombu.exceptions.OperationalError: Redis does not answer.
    """
    once = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
    with current_app.connection_for_write(transport_options=once) as connection:
        yield connection.default_channel.qos


class QoS(redis.QoS):
    """Acknowledges and rejects by the message's tag, which Redis knows whichever connection names it."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message that was just taken from its queue, however long it takes: it is nowhere else."""
        while True:
            try:
                super().append(message, delivery_tag)
                return
            except RedisError as error:
                broken = is_wrong_type(error)  # until somebody deletes the key; what was taken must not be lost to it
                if not broken and not refused_for_now(error) and not isinstance(error, RedisGone | RedisHangs):
                    raise
                logger.warning("cannot note a task that was taken from its queue, trying again: %s", error)
                heartbeat.waiting(f"cannot note the tasks that it takes: {error}" if broken else None)
                time.sleep(0.5)

    def ack(self, delivery_tag: str) -> None:
        try:
            if not self._is_gone():
                super().ack(delivery_tag)
                return
            with fresh_qos() as qos:
                qos.ack(delivery_tag)
        except Exception:
            _done.add(delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self._is_gone():
            super().reject(delivery_tag, requeue)
            return
        with fresh_qos() as qos:
            qos.reject(delivery_tag, requeue)

    def _is_gone(self) -> bool:
        transport = self.channel.connection
        return self.channel.closed or transport is None or transport.client is None

    def held(self) -> list[str]:
        """Tags of the messages that were delivered on this channel and not acknowledged."""
        self._flush()
        return [tag for tag in self._delivered if tag not in _done]


@contextmanager
def noticed() -> Iterator[None]:
    """Note a turn of the main loop, with its reason, where what happens inside gets no answer from Redis."""
    try:
        yield
    except (RedisGone, RedisHangs, OSError) as error:
        heartbeat.waiting(f"Redis does not answer: {error}")
        raise


class Waits:
    """A connection that says so where Redis does not answer: the main loop waits then, and does not hang.

    With a Redis that hangs, kombu's timers wait for it one after another before the loop turns again: 58 s were
    seen, and on a slow machine more than the 60 after which a worker counts as hung.
    """

    def read_response(self, *args: Any, **options: Any) -> Any:
        with noticed():
            return super().read_response(*args, **options)  # type: ignore[misc]

    def _connect(self) -> Any:
        with noticed():
            return super()._connect()  # type: ignore[misc]


class Connection(Waits, redis_connection.Connection):
    """kombu's, over TCP."""


class TLSConnection(Waits, redis_connection.SSLConnection):
    """kombu's, over TLS."""


def install() -> None:
    """Put this into kombu's channel, for the whole process."""
    redis.Channel.QoS = QoS
    redis.Channel.do_restore = False


def install_connections() -> None:
    """Have kombu's channels of this process wait for Redis as above."""
    redis.Channel.connection_class = Connection
    redis.Channel.connection_class_ssl = TLSConnection


def settle() -> None:
    """Acknowledge what could not be acknowledged when it ended. Raises as `put_back` does."""
    if _done:
        with fresh_qos() as qos:
            for tag in list(_done):
                qos.ack(tag)
                _done.discard(tag)


def read_paused(connection: Any) -> None:
    """Read what kombu leaves in a socket while every slot is taken: the answer to a BRPOP that was under way.

    It may be a task, which is in no queue any more and noted nowhere: lost to a stop or to a lost connection.
    """
    for channel, _, waiting, _ in list(connection.transport.cycle._paused_brpop.values()):
        if channel._in_poll is waiting and waiting.can_read(0):
            with suppress(Empty):
                channel._brpop_read()


def put_back(tags: Iterable[str]) -> None:
    """Put unacknowledged messages back into their queues; one that was acknowledged meanwhile stays so.

    kombu's restore is a transaction over the `unacked` hash, so against an acknowledgement only one can win.

    Raises:
        kombu.exceptions.OperationalError, redis.exceptions.RedisError: Redis does not answer; then they come
        back after VISIBILITY_TIMEOUT.
    """
    if wanted := list(tags):
        with fresh_qos() as qos:
            for tag in wanted:
                qos.restore_by_tag(tag)
        logger.warning("put %d tasks back into their queues: %s", len(wanted), ", ".join(wanted))
