"""Where the project is: its folder, its settings module, its Celery app, its packages. By convention, or as
app/project.env says.

Reads files and imports none of them: the role table asks before Django exists. Standard library only.
"""

import os
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from stack.runtime.discovery import FILE, OURS, folder, settings
from stack.runtime.env import APP_DIR, BadValue, environment
from stack.runtime.projectenv import export
from stack.runtime.sources import makes, modules, new_app, parsed

NAMES = ("PROJECT_DIR", "PROJECT_SETTINGS", "PROJECT_CELERY", "PROJECT_REQUIREMENTS")  # what it may have
LAYER = "stack.settings"  # what every role runs with, whatever the project's own module is
REQUIREMENTS = (
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
    "pyproject.toml",
)


class Project(NamedTuple):
    """A project as it lies in app/."""

    dir: str  # the folder of its manage.py, absolute: first on sys.path, and where its roles work
    settings: str  # the name of its settings module
    celery: str  # `module:attribute` of its Celery app, or "" where that is found by convention
    requirements: str  # the absolute path of the file that lists its packages, or ""
    name: str  # a word for people


def project(env: dict[str, str], app: str = APP_DIR) -> Project:
    """The project in the folder `app`, as `env`, project.env and convention have it.

    Args:
        env: mapping of environment variables, which win over the file.
        app: the folder that holds the project, stack/ and project.env.

    Raises:
        BadValue: there is none, or there are several; the text says which line to write into project.env.
    """
    file = os.path.join(app, FILE)
    if unknown := [name for name in environment(file, {}) if name not in NAMES]:
        raise BadValue(f"{file} has {unknown[0]}, which is none of its lines: {', '.join(NAMES)}.")
    said = environment(file, {name: text for name, text in env.items() if text})
    named = said.get("PROJECT_DIR", "")
    if named and not os.path.isdir(os.path.join(app, named)):
        raise BadValue(f"PROJECT_DIR={named!r}: there is no such folder in {app}.")
    place = os.path.normpath(os.path.join(app, named)) if named else folder(app)
    # A package that has its settings.py in itself is imported from the folder around it.
    inside = named or os.path.isfile(os.path.join(place, "manage.py"))
    top = place if inside else os.path.dirname(place)
    if top != app and (os.path.isdir(os.path.join(top, OURS[0])) or os.path.isfile(os.path.join(top, "stack.py"))):
        raise BadValue(f"{top} has a module that is called stack, as the product's own is: call it something else.")
    module = _named_settings(said) or settings(top, place)
    packages = said.get("PROJECT_REQUIREMENTS", "")
    if packages and not os.path.isfile(os.path.join(app, packages)):
        raise BadValue(f"PROJECT_REQUIREMENTS={packages!r}: there is no such file in {app}.")
    celery = said.get("PROJECT_CELERY", "")
    if celery and not all(celery.partition(":")[::2]):
        raise BadValue(f"PROJECT_CELERY={celery!r}: it must be module:attribute, as shop.celery:app.")
    lists = (os.path.join(place, name) for name in REQUIREMENTS)
    return Project(
        dir=top,
        settings=module,
        celery=celery,
        requirements=os.path.join(app, packages) if packages else next(filter(os.path.isfile, lists), ""),
        name=module.partition(".")[0] if top == app else os.path.basename(top),
    )


def enter(env: dict[str, str]) -> Project:
    """Let this process import the project, and Django read the layered settings, whichever program it is.

    Args:
        env: mapping of environment variables: what `.env` and the project's own secrets hold becomes part of the
            process's own environment, where the project's settings look for it.

    Raises:
        BadValue: as `project` and `project_variables`.
    """
    found = project(env)
    for place in (APP_DIR, found.dir):
        if place in sys.path:
            sys.path.remove(place)
        sys.path.insert(0, place)
    export(env)
    os.environ.update(variables(found, env))
    return found


def variables(found: Project, env: dict[str, str]) -> dict[str, str]:
    """What Django reads in place of `env`: a DJANGO_SETTINGS_MODULE of the project becomes PROJECT_SETTINGS."""
    layered = {"DJANGO_SETTINGS_MODULE": LAYER}
    if env.get("DJANGO_SETTINGS_MODULE", LAYER) == LAYER:
        return layered
    return layered | {"PROJECT_SETTINGS": found.settings}


def celery_apps(found: Project) -> dict[str, str]:
    """Every Celery app that a module of the project makes at its top: `module:attribute` and the file of each.

    Tests are left out: what they make is theirs.
    """
    apps = {}
    for module, path in modules_of(found):
        with open(path, "rb") as file:
            text = file.read()
        if not re.search(rb"Celery[(\[),]", text):
            continue
        tree = parsed(text)
        makers = {"Celery", *(node.name for node in tree.body if makes(node))}
        for statement in tree.body:
            if attribute := new_app(statement, makers):
                apps[f"{module}:{attribute}"] = path
    return apps


def modules_of(found: Project) -> Iterator[tuple[str, str]]:
    """The name and the file of each module of the project, those near its top first; tests are left out."""
    ours = [os.path.join(APP_DIR, name) for name in OURS] if found.dir == APP_DIR else []
    for path in modules(found.dir, ours):
        name = os.path.relpath(path, found.dir)[: -len(".py")].replace(os.sep, ".").removesuffix(".__init__")
        yield name, path


def _named_settings(said: dict[str, str]) -> str:
    """The settings module that a variable names. Django's own variable does, unless it names the layer."""
    module = said.get("DJANGO_SETTINGS_MODULE", "")
    return said.get("PROJECT_SETTINGS", "") or ("" if module == LAYER else module)
