"""The system checks: what cannot work stops every role at start."""

import logging
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as DjangoWarning
from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger(__name__)


class StackConfig(AppConfig):
    name = "stack"

    def ready(self) -> None:
        from django.conf import settings

        from stack import database, receivers  # noqa: F401 (importing the latter connects them)

        register(environment_fits)
        if settings.ROLE == "web":
            database.install()


def verify() -> None:
    """Stop this process when a setting would lose tasks, and log what is only risky; every role calls it before it
    serves.

    Raises:
        ImproperlyConfigured: with each error's text, which names the setting and the fix.
    """
    messages = environment_fits(None)
    if errors := [str(message.msg) for message in messages if message.is_serious()]:
        raise ImproperlyConfigured("\n".join(errors))
    for message in messages:
        logger.warning("%s", message.msg)


def environment_fits(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Every contradiction between variables and CELERY_ settings, each with its fix."""
    from celery import current_app
    from django.conf import settings
    from django.utils.module_loading import autodiscover_modules

    from stack.roles import contradictions, open_api, versions
    from stack.safety import check_configuration

    env, role = settings.ENV, settings.ROLE
    # As Celery would, which runs these very checks before it imports them.
    autodiscover_modules("tasks")
    for module in current_app.loader.default_modules:
        current_app.loader.import_task_module(module)
    unsafe = check_configuration(current_app.conf, role, env, current_app.tasks.values())
    found: list[CheckMessage] = [Error(text, id="stack.E001") for text in contradictions(env) + unsafe + versions()]
    if role == "web" and (warning := open_api(env)):
        found.append(DjangoWarning(warning, id="stack.W001"))
    return found
