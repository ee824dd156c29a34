"""What wsgi.py and asgi.py share: the project's own application, and what must be there before the first request."""

import os
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from stack.apps import verify
from stack.celery import app
from stack.runtime.project import LAYER


def application_of(setting: str, name: str, module: str) -> Any:
    """The application that the project names in WSGI_APPLICATION or ASGI_APPLICATION.

    Args:
        setting: the name of the setting.
        name: what it says, a dotted name.
        module: the project's settings module, for people.

    Raises:
        ImproperlyConfigured: it cannot be imported.
    """
    try:
        return import_string(name)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"{setting} = {name!r} of {module} cannot be imported: {error}. Make it right, or take it out."
        ) from error
    finally:
        # A wsgi.py or asgi.py that sets it without looking has no say any more.
        os.environ["DJANGO_SETTINGS_MODULE"] = LAYER


def prepare() -> None:
    """Check what a role checks before it serves, and do now what the first request would have to wait for.

    Raises:
        ImproperlyConfigured: a setting would lose tasks or leave the API open.
        BadValue: the token of the API cannot be read.
    """
    verify()
    # Of two first requests at once, one would find half of the tasks and answer 404.
    app.loader.import_default_modules()
    app.finalize()

    from stack.http import unserved  # it needs the apps
    from stack.http.api import api

    # An API without the guard has been an error by now: the import of the tasks runs Django's checks, which import the
    # URLs.
    _ = api.guard.token
    unserved.watch()
