"""The Celery app; `celery -A config` finds it here."""

import os

from stack.broker import breaker
from stack.broker.configuration import configuration
from stack.runtime.env import environment, get
from stack.runtime.native import break_is_interrupt
from stack.task import App
from stack.worker.worker import install_steps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = App("config")
app.config_from_object("django.conf:settings", namespace="CELERY")
# The safe defaults of this process's role. A CELERY_ setting wins over them, and `manage.py check` objects
# to one that would lose tasks.
env = environment()
role = get("SERVICE_ROLE", env)
break_is_interrupt()
app.add_defaults(configuration(role, env))
install_steps(app)
if role == "web":
    breaker.install()  # over the connections of a worker, which wait where these refuse
app.autodiscover_tasks()
