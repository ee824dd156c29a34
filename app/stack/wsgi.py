"""The WSGI application that gunicorn serves: the project's own, after the checks."""

import os

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.utils.module_loading import import_string

from stack.apps import verify
from stack.celery import app
from stack.runtime.project import LAYER
from stack.settings import STACK_PROJECT, laid

application = get_wsgi_application()
wrapped = laid["PROJECT_WSGI"].value
if wrapped:
    # What the project wraps around Django is served too.
    try:
        application = import_string(wrapped)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"WSGI_APPLICATION = {wrapped!r} of {STACK_PROJECT.settings} cannot be imported: {error}. "
            "Make it right, or take it out."
        ) from error
    finally:
        os.environ["DJANGO_SETTINGS_MODULE"] = LAYER  # a wsgi.py that sets it without looking has no say any more
verify()
# Now, not in the first request: of two first requests at once, one would find half of the tasks and answer 404.
app.loader.import_default_modules()
app.finalize()

from stack.http import unserved  # noqa: E402 (it needs the apps)
from stack.http.api import api  # noqa: E402

# So is a token that cannot be read an error of the start. An API without the guard is one by now: the import of the
# tasks runs Django's checks, which import the URLs.
_ = api.guard.token
unserved.watch()
