"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from config.celery import app
from stack.apps import verify

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
verify()
# Now, not in the first request: of two first requests at once, one would find half of the tasks and answer 404.
app.loader.import_default_modules()
app.finalize()
# The URLs and the API's token too: what is wrong with them must stop the start, not the first request.
from stack.api import api  # noqa: E402 (it needs the apps)

_ = get_resolver().url_patterns, api.guard.token
