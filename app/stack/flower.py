"""The Celery app that Flower runs with: the broker's address and no project code."""

from celery import Celery

from stack.celeryconf import configuration
from stack.env import environment

app = Celery("flower")
app.conf.update(configuration("flower", environment()))
app.conf.accept_content = ["json"]
