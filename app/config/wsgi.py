"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from config.celery import app
from stack.apps import verify

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
verify()
# Now, not in the first request: of two first requests at once, one would find half of the tasks and answer 404.
app.loader.import_default_modules()
app.finalize()

from stack.http.api import api  # noqa: E402 (it needs the apps)

# So is a token that cannot be read an error of the start. An API without the guard is one by now: the import of the
# tasks runs Django's checks, which import the URLs.
_ = api.guard.token
