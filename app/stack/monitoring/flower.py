"""The Celery app that Flower runs with: the broker's address and no project code."""

import logging.config
import os

from celery import Celery
from kombu import Queue

from stack.broker import masks
from stack.broker.configuration import configuration
from stack.broker.rights import FLOWER_MAILBOX
from stack.monitoring import flower_web, monitor
from stack.runtime.env import environment, get
from stack.runtime.exposure import weaknesses
from stack.runtime.logs import logging_config
from stack.runtime.native import break_is_interrupt

break_is_interrupt()
env = environment()
# Before Flower's own set-up, which leaves a configured root logger alone.
logging.config.dictConfig(logging_config(get("LOG_LEVEL", env), get("LOG_FORMAT", env)))
for _, weakness in weaknesses("flower", env, [], False):
    logging.getLogger(__name__).warning("%s", weakness)
# Flower reads this variable by itself too, and ends with a traceback where it is set to nothing.
os.environ["FLOWER_READ_ONLY"] = str(get("FLOWER_READ_ONLY", env)).lower()
app = Celery("flower")
app.conf.update(configuration("flower", env))
app.conf.accept_content = ["json"]
# The queues whose length it shows when no worker is there to tell which ones it takes tasks from.
if names := [name for name in get("WORKER_QUEUES", env) if name[0] != "-"]:
    app.conf.task_queues = [Queue(name) for name in names]
    app.conf.task_default_queue = names[0]
# A mailbox apart from the one that shuts workers down: with Flower's password nobody can publish on any other.
app.conf.control_exchange = FLOWER_MAILBOX
app.conf.broker_transport_options |= {
    # kombu lets every reader put back what dead workers held. That is for workers alone: Flower has no right to it, and
    # takes no message that it would have to acknowledge.
    "ack_emulation": False,
    # Two of these without an answer, and the connection for events is made anew.
    "health_check_interval": 2,
    # Without these kombu tries for three seconds each time, and what waits for it holds one of Flower's threads.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}
masks.install()
monitor.install()
flower_web.install()
