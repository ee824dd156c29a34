"""The system checks: what cannot work stops every role at start."""

import logging
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as DjangoWarning
from django.core.checks.security.base import check_secret_key
from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger(__name__)


class StackConfig(AppConfig):
    name = "stack"

    def ready(self) -> None:
        from django.conf import settings

        from stack import celery, receivers  # noqa: F401 (whoever sends a task finds the app; the latter connects itself)
        from stack.http import database
        from stack.runtime import serving
        from stack.state import outages

        outages.install()
        serving.checks[:] = [verify]
        register(environment_fits)
        register(values_not_used)
        register(addresses_not_reached)
        register(app_not_found)
        register(deployment_is_safe, Tags.security, deploy=True)
        if settings.STACK_ROLE == "web":
            database.install()


def verify() -> None:
    """Stop this process when a setting would lose tasks or leave the API open, and log what is only risky; every role
    calls it before it serves.

    Raises:
        ImproperlyConfigured: with each error's text, which names the setting and the fix.
    """
    from django.conf import settings

    found = environment_fits(None)
    if errors := [str(message.msg) for message in found if message.is_serious()]:
        raise ImproperlyConfigured("\n".join(errors))
    messages = found + risks(resolve=False) + values_not_used(None) + app_not_found(None)
    if settings.STACK_ROLE == "web":
        messages += addresses_not_reached(None)
        messages += check_secret_key(None)  # Django says it in `check --deploy` only
    for message in messages:
        if not message.is_silenced():
            logger.warning("%s", message.msg)


def deployment_is_safe(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """What `check --deploy` warns of, beside Django's own: docs/security.md lists it."""
    return risks(resolve=True)


def values_not_used(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """What the project says and the roles do not use, each with the variable or the line to use."""
    from stack.explain import everything
    from stack.rules import ENVIRONMENT, MERGED, STACK

    ids = {ENVIRONMENT: "stack.W101", STACK: "stack.W102", MERGED: "stack.W106"}
    return [DjangoWarning(each.advice, id=ids[each.group]) for each in everything().values() if each.advice]


def addresses_not_reached(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """The project's own addresses where the stack's are, with the line that moves these."""
    from django.conf import settings

    from stack.root_urls import covered

    text = "{} of {} is not reached, the stack's own is there: write path('ops/', include('stack.urls')) into it."
    return [DjangoWarning(text.format(each, settings.PROJECT_URLCONF), id="stack.W104") for each in covered()]


def app_not_found(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """A Celery app that the project makes where nobody looks, with the line that names it."""
    from stack.celery import not_found

    return [DjangoWarning(text, id="stack.W107") for text in [not_found()] if text]


def risks(resolve: bool) -> list[CheckMessage]:
    """The weaknesses of this role as messages. `resolve` may wait for name servers."""
    from django.conf import settings

    from stack.runtime.exposure import weaknesses

    found = weaknesses(settings.STACK_ROLE, settings.STACK_ENV, settings.ALLOWED_HOSTS, settings.DEBUG, resolve)
    return [DjangoWarning(text, id=name) for name, text in found]


def environment_fits(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Every contradiction between variables and CELERY_ settings, each with its fix."""
    from celery import current_app
    from django.conf import settings
    from django.utils.module_loading import autodiscover_modules

    from stack.runtime.exposure import open_api
    from stack.runtime.fitting import contradictions, versions
    from stack.safety import acknowledged_first, check_configuration, eager

    env, role = settings.STACK_ENV, settings.STACK_ROLE
    # As Celery would, which runs these very checks before it imports them.
    autodiscover_modules("tasks")
    for module in current_app.loader.default_modules:
        current_app.loader.import_task_module(module)
    tasks = list(current_app.tasks.values())
    unsafe = check_configuration(current_app.conf, role, env, tasks)
    found: list[CheckMessage] = [Error(text, id="stack.E001") for text in contradictions(env) + unsafe + versions()]
    found += [DjangoWarning(text, id="stack.W103") for text in acknowledged_first(tasks)]
    found += [DjangoWarning(text, id="stack.W105") for text in eager(current_app.conf)]
    if role == "web" and (refused := open_api(env)):
        found.append(Error(refused, id="stack.E002"))
    return found
