"""The ASGI application that gunicorn serves where WEB_SERVER=asgi: the project's own, with the stack's around it."""

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application

from stack.http import asgi_files
from stack.runtime.env import get
from stack.served import application_of, prepare
from stack.settings import STACK_ENV, STACK_PROJECT

asgi_files.install()
_django = get_asgi_application()


def project_application(module: str) -> Any:
    """What ASGI_APPLICATION names, else `application` of the asgi.py beside the settings `module`, else Django's.

    Raises:
        ImproperlyConfigured: what is named cannot be imported.
    """
    named = getattr(settings, "ASGI_APPLICATION", None) or _beside(module)
    return application_of("ASGI_APPLICATION", named, module) if named else _django


def _beside(module: str) -> str:
    while "." in module:
        module = module.rpartition(".")[0]
        if find_spec(f"{module}.asgi"):
            return f"{module}.asgi.application"
    return ""


_project = project_application(STACK_PROJECT.settings)
prepare()

from stack.http.asgi import Around  # noqa: E402 (it needs the apps)

application = Around(_project, get("TRUSTED_PROXIES", STACK_ENV))
