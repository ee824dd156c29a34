"""The project's own modules, imported: its settings and its Celery app, with errors that name the line to write."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import django
from django.core.exceptions import ImproperlyConfigured

from stack.runtime.env import BadValue, get
from stack.runtime.project import LAYER, Project, celery_apps
from stack.runtime.raised import explained

# What a project reads from the environment by these names, where they are in files here.
SECRETS = ("SECRET_KEY", "DATABASE_PASSWORD", "EMAIL_PASSWORD")


class SettingsFailed(ImproperlyConfigured):
    """The project's settings raised something; the text has the place, and ends with one line of what to do."""


def settings_of(project: Project, env: dict[str, str]) -> dict[str, Any]:
    """The names and values of the project's settings module: all that Django would take.

    Raises:
        ImproperlyConfigured: there is no such module.
        SettingsFailed: it raises an error.
    """
    with _secrets(env), _not_started():
        module = _import(project.settings, "PROJECT_SETTINGS", project, settings=True)
    return {name: getattr(module, name) for name in dir(module) if name.isupper()}


@contextmanager
def _secrets(env: dict[str, str]) -> Iterator[None]:
    """For the import alone: children of this process need no secret in their environment."""
    added = []
    for name in SECRETS:
        try:
            value = get(name, env)
        except BadValue:  # a role that needs it says so
            continue
        if value and name not in os.environ:
            os.environ[name] = value
            added.append(name)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _not_started() -> Iterator[None]:
    """Settings that call django.setup() at their end have Django start a little later: with the stack's around them."""
    setup = django.setup
    django.setup = lambda *_, **__: None
    try:
        yield
    finally:
        django.setup = setup


def _import(name: str, variable: str, project: Project, settings: bool = False) -> ModuleType:
    try:
        return import_module(name)
    except SettingsFailed:
        raise
    except Exception as error:
        gone = isinstance(error, ModuleNotFoundError) and error.name
        if gone and (name == gone or name.startswith(f"{gone}.")):
            raise ImproperlyConfigured(
                f"There is no module {name} in {project.dir}: {variable} must name it, in app/project.env or .env."
                f"{' DJANGO_SETTINGS_MODULE in the environment counts as it.' * (variable == 'PROJECT_SETTINGS')}"
            ) from None
        if settings:
            raise SettingsFailed(explained(error, name, project.dir)) from error
        raise


def celery_app(project: Project) -> Any:
    """The project's own Celery app, or None where it has none.

    Found as `celery -A <package of the settings>` finds it, else as the one that a module of the project makes.

    Raises:
        ImproperlyConfigured: it has several, or PROJECT_CELERY names none, or it has Django read other settings.
    """
    from celery import Celery

    package = project.settings.partition(".")[0]
    # In this order: a package that imports its Celery app finds its settings as in a project without the stack, and
    # a celery.py that is imported by nobody but Celery finds those of the stack.
    _import(package, "PROJECT_SETTINGS", project)
    _read_settings(package)
    if project.celery:
        module, _, attribute = project.celery.partition(":")
        app = getattr(_import(module, "PROJECT_CELERY", project), attribute, None)
        if not isinstance(app, Celery):
            raise ImproperlyConfigured(f"PROJECT_CELERY={project.celery}: {module} has no Celery app of this name.")
    else:
        app = _by_convention(project, package)
    os.environ["DJANGO_SETTINGS_MODULE"] = LAYER  # whatever the project's modules have made of it
    return app


def _read_settings(package: str) -> None:
    from django.conf import settings

    os.environ["DJANGO_SETTINGS_MODULE"] = LAYER
    if getattr(settings, "SETTINGS_MODULE", LAYER) != LAYER:
        raise ImproperlyConfigured(
            f"The package {package} sets DJANGO_SETTINGS_MODULE whatever it was, and reads settings while it is "
            "imported: make it os.environ.setdefault(...), as Celery's documentation has it."
        )


def _by_convention(project: Project, package: str) -> Any:
    from celery import Celery
    from celery.app.utils import find_app

    made = celery_apps(project)
    if len(made) > 1:
        raise ImproperlyConfigured(
            f"The project makes {len(made)} Celery apps, in {' and '.join(made.values())}. Say which one runs: "
            f"write PROJECT_CELERY={next(iter(made))} into app/project.env."
        )
    if hasattr(import_module(package), "__path__") and find_spec(f"{package}.celery"):
        import_module(f"{package}.celery")  # Celery would take an error in it for a file that is not there
    try:
        found = find_app(package)
    except AttributeError:  # Celery's way to say that there is none
        found = None
    if isinstance(found, Celery):
        return found
    for name in made:
        module, _, attribute = name.partition(":")
        if isinstance(found := getattr(import_module(module), attribute), Celery):
            return found
    return None
