"""The WSGI application that gunicorn serves: the project's own, after the checks."""

from django.core.wsgi import get_wsgi_application

from stack.served import application_of, prepare
from stack.settings import STACK_PROJECT, laid

application = get_wsgi_application()
if wrapped := laid["PROJECT_WSGI"].value:
    # What the project wraps around Django is served too.
    application = application_of("WSGI_APPLICATION", wrapped, STACK_PROJECT.settings)
prepare()
