"""The system checks: what cannot work stops every role at start."""

from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as DjangoWarning
from django.core.exceptions import ImproperlyConfigured


class StackConfig(AppConfig):
    name = "stack"

    def ready(self) -> None:
        from stack import receivers  # noqa: F401 (importing it connects them)

        register(environment_fits)


def verify() -> None:
    """Stop this process when a setting would lose tasks; every role calls it before it serves.

    Raises:
        ImproperlyConfigured: with each error's text, which names the setting and the fix.
    """
    if errors := [str(message.msg) for message in environment_fits(None) if message.is_serious()]:
        raise ImproperlyConfigured("\n".join(errors))


def environment_fits(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Every contradiction between variables and CELERY_ settings, each with its fix."""
    from celery import current_app
    from django.conf import settings
    from django.utils.module_loading import autodiscover_modules

    from stack.env import get
    from stack.roles import contradictions, versions
    from stack.safety import check_configuration

    env, role = settings.ENV, settings.ROLE
    # As Celery would, which runs these very checks before it imports them.
    autodiscover_modules("tasks")
    for module in current_app.loader.default_modules:
        current_app.loader.import_task_module(module)
    unsafe = check_configuration(current_app.conf, role, env, current_app.tasks.values())
    found: list[CheckMessage] = [Error(text, id="stack.E001") for text in contradictions(env) + unsafe + versions()]
    host = get("WEB_ADDRESS", env).rpartition(":")[0].strip("[]") or get("WEB_BIND", env)[0]
    if role == "web" and host not in ("127.0.0.1", "::1", "localhost") and not get("API_TOKEN", env):
        found.append(
            DjangoWarning(
                f"The web role is reached on {host} and the API is open: set API_TOKEN_FILE.", id="stack.W001"
            )
        )
    return found
