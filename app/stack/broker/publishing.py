"""A task's message and its record go to Redis in one transaction, whoever publishes: no record without a message.

Views, tasks, canvases, retries and beat publish in many ways, and all of them end in the channel. What puts a message
back into its queue does not come this way, so nothing that is noted of a task is written anew there.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from json import JSONDecodeError
from queue import Empty
from typing import Any, cast

import redis
from kombu.transport import redis as transport
from kombu.utils.json import dumps

from stack.broker.connections import refused_for_now
from stack.broker.keys import note_key
from stack.broker.routing import runs_in_a_worker
from stack.runtime import heartbeat

logger = logging.getLogger(__name__)
# Adds the commands of a record to a pipeline: record(add, headers), with add(command, *arguments).
Record = Callable[[Callable[..., Any], dict[str, Any]], None]
# Makes a record that has just been written as if it had not been, by the answers to its commands.
Undo = Callable[[dict[str, Any], list[Any]], list[tuple[Any, ...]]]


class Channel(transport.Channel):
    """kombu's, which writes the record of a task beside its message."""

    record: Record
    undo: Undo

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        headers = message.get("headers") or {}
        if not headers.get("id") or not headers.get("task"):
            super()._put(queue, message, **options)
            return
        if batch := options.get("_publish_batch"):  # its pipeline is no transaction: the record first
            type(self).record(batch.add, headers)
            super()._put(queue, message, **options)
            return
        while True:
            try:
                self._put_with_record(queue, message, headers)
                return
            except redis.ResponseError as error:
                # A Redis that is full is no reason for a task to fail that sends another.
                if not refused_for_now(error) or not runs_in_a_worker():
                    raise
                logger.warning("cannot send %s[%s], trying again: %s", headers["task"], headers["id"], error)
                heartbeat.waiting()
                time.sleep(0.5)

    def _brpop_read(self, **options: Any) -> Any:
        """As kombu's, but what is no message does not end the worker, whose tasks would run twice."""
        try:
            return super()._brpop_read(**options)
        except (JSONDecodeError, UnicodeDecodeError) as error:
            logger.critical("somebody put what is no message into a queue; it is dropped: %s", error)
            raise Empty from error

    def _put_with_record(self, queue: str, message: dict[str, Any], headers: dict[str, Any]) -> None:
        key = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
        with self.conn_or_acquire() as client, client.pipeline(transaction=True) as pipe:
            pipe.lpush(key, dumps(message))
            if queue in self._expires:
                for step in self.priority_steps:
                    pipe.pexpire(self._q_for_pri(queue, step), self._expires[queue])
            before = len(pipe.command_stack)
            type(self).record(lambda command, *arguments: getattr(pipe, command)(*arguments), headers)
            answers = pipe.execute(raise_on_error=False)
            refused = [answer for answer in answers if isinstance(answer, Exception)]
            if isinstance(answers[0], Exception):
                # The key of the queue is something else. The record goes too, or the task would wait for ever.
                for command, *arguments in type(self).undo(headers, answers[before:]):
                    with suppress(redis.RedisError):
                        getattr(client, command)(*arguments)
                note_key(answers[0], ("LPUSH", key))
                raise answers[0]
            if refused:
                logger.error("the record of %s[%s] is not written: %s", headers["task"], headers["id"], refused[0])


def install(record: Record, undo: Undo) -> None:
    """Have kombu's Redis transport use this channel, for the whole process."""
    Channel.record, Channel.undo = cast(Any, staticmethod(record)), cast(Any, staticmethod(undo))
    transport.Transport.Channel = Channel
