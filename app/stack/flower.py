"""The Celery app that Flower runs with: the broker's address and no project code."""

import logging.config

from celery import Celery

from stack.celeryconf import configuration
from stack.env import environment, get
from stack.logs import logging_config
from stack.native import break_is_interrupt

break_is_interrupt()
env = environment()
# Before Flower's own set-up, which leaves a configured root logger alone.
logging.config.dictConfig(logging_config(get("LOG_LEVEL", env), get("LOG_FORMAT", env)))
app = Celery("flower")
app.conf.update(configuration("flower", env))
app.conf.accept_content = ["json"]
# kombu lets every reader put back what dead workers held. That is for workers alone: Flower has no right to it.
app.conf.broker_transport_options |= {"visibility_timeout": 10**9}
