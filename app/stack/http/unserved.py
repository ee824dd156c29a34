"""Once a minute the log of web names the queues that hold tasks which no worker takes."""

import logging
import os
import threading
import time

import redis

from stack.broker.connections import client
from stack.broker.sent import AGAIN, SENT
from stack.state import backlog, queues, workers

logger = logging.getLogger(__name__)
EVERY = 60  # seconds between two looks of all web processes together
NAMED = 10  # queues that one look names
TURN = "stack:queues:warned"  # whose turn it is: the key lives for almost as long


def watch() -> None:
    """Look from a thread of this process; a request waits for none of it."""
    threading.Thread(target=_run, name="unserved-queues", daemon=True).start()


def _run() -> None:
    while True:
        time.sleep(EVERY)
        try:
            if client().set(TURN, os.getpid(), nx=True, ex=max(1, EVERY - 5)):
                warn()
        except redis.RedisError:  # a request says so, and the next look may find it back
            continue
        except Exception:
            logger.exception("cannot look for queues that no worker serves")


def warn() -> None:
    """Log a line for each queue whose tasks nobody takes, and forget the names of those to which nobody sends.

    Raises:
        redis.exceptions.RedisError: Redis does not answer.
    """
    seen = backlog.look(queues.of_settings(), workers.read())
    stuck = [queue for queue in seen if queue["unserved"]]
    for queue in stuck[:NAMED]:
        logger.warning("queue %r: %s", queue["name"], queue["unserved"])
    if len(stuck) > NAMED:
        logger.warning("and %d more queues whose tasks no worker takes: GET /api/queues", len(stuck) - NAMED)
    pipe = client().pipeline(transaction=False)
    for queue in seen:
        if queue["waiting"]:
            pipe.hsetnx(backlog.OLDEST, queue["name"], time.time())
    # What waits stays known, however long ago it was sent.
    gone = set(client().zrangebyscore(SENT, 0, time.time() - 2 * AGAIN)) - {q["name"] for q in seen if q["waiting"]}
    if gone:
        pipe.zrem(SENT, *gone)
    pipe.execute()
