"""The ASGI application that gunicorn serves where WEB_SERVER=asgi: the project's own, with the stack's around it."""

import os
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from stack.apps import verify
from stack.celery import app
from stack.http import asgi_files
from stack.runtime.env import get
from stack.runtime.project import LAYER
from stack.settings import STACK_ENV, STACK_PROJECT

asgi_files.install()
_django = get_asgi_application()


def project_application(module: str) -> Any:
    """What ASGI_APPLICATION names, else `application` of the asgi.py beside the settings `module`, else Django's.

    Raises:
        ImproperlyConfigured: what is named cannot be imported.
    """
    named = getattr(settings, "ASGI_APPLICATION", None) or _beside(module)
    if not named:
        return _django
    try:
        return import_string(named)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"ASGI_APPLICATION = {named!r} of {module} cannot be imported: {error}. Make it right, or take it out."
        ) from error
    finally:
        os.environ["DJANGO_SETTINGS_MODULE"] = LAYER  # an asgi.py that sets it without looking has no say any more


def _beside(module: str) -> str:
    while "." in module:
        module = module.rpartition(".")[0]
        if find_spec(f"{module}.asgi"):
            return f"{module}.asgi.application"
    return ""


_project = project_application(STACK_PROJECT.settings)
verify()
# Now, not in the first request: of two first requests at once, one would find half of the tasks and answer 404.
app.loader.import_default_modules()
app.finalize()

from stack.http import unserved  # noqa: E402 (it needs the apps)
from stack.http.api import api  # noqa: E402
from stack.http.asgi import Around  # noqa: E402

# So is a token that cannot be read an error of the start.
_ = api.guard.token
unserved.watch()
application = Around(_project, get("TRUSTED_PROXIES", STACK_ENV))
