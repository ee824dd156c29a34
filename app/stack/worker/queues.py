"""From which queues a worker takes tasks: with WORKER_QUEUES empty, from every one that the project names.

Celery's worker takes those of CELERY_TASK_QUEUES alone, or the default queue: a task that is routed elsewhere would
wait for ever.
"""

import logging
from typing import Any

from celery import signals
from kombu import Queue

from stack.broker.precedence import called
from stack.runtime.env import environment, get
from stack.runtime.names import problem
from stack.state import queues

logger = logging.getLogger(__name__)


def take(sender: Any = None, instance: Any = None, **_: Any) -> None:
    """Add what the project names to what the worker takes, and leave out what WORKER_QUEUES says with a `-`.

    Added, so that what a project's own receiver of this signal selects stays.
    """
    amqp, names = instance.app.amqp, get("WORKER_QUEUES", environment())
    if amqp.queues._consume_from is None:  # nobody gave -Q
        for name, queue in queues.named(instance.app).items():
            _add(amqp.queues, name, queue, instance.app.conf)
        amqp.queues.deselect([name.removeprefix("-") for name in names])
    taken = sorted(amqp.queues.consume_from)
    why = f"WORKER_QUEUES is {','.join(names)}" if names else "every one that the project names"
    if taken:
        logger.info("takes tasks from %s (%s)", ", ".join(taken), why)
    else:
        logger.critical("WORKER_QUEUES=%s leaves out every queue: this worker takes no task", ",".join(names))


def _add(known: Any, name: str, queue: Any, conf: Any) -> None:
    if problem(name) or name in known.consume_from:
        return  # a reserved name is an error of the start: see stack/safety.py
    try:
        # As a sender finds it, so that both mean one exchange and one key. CELERY_TASK_QUEUES comes first.
        known.select_add(queue if isinstance(queue, Queue) and name not in known else known[name])
    except KeyError:
        logger.error(
            "the project routes tasks to the queue %r, which %s does not have, and %s is off: they cannot be sent. "
            "Add it there.",
            *(name, *(called(conf, each) for each in ("task_queues", "task_create_missing_queues"))),
        )


def install() -> None:
    """Have each worker of this process take what the project names, before its pool starts."""
    signals.celeryd_after_setup.connect(take, weak=False, dispatch_uid="stack.worker.queues")
