"""Where the project is: its folder, its settings module, its Celery app, its packages. By convention, or as
app/project.env says.

Reads files and imports none of them: the role table asks before Django exists. Standard library only.
"""

import ast
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from stack.runtime.env import APP_DIR, BadValue, environment
from stack.runtime.projectenv import export

FILE = "project.env"
NAMES = ("PROJECT_DIR", "PROJECT_SETTINGS", "PROJECT_CELERY", "PROJECT_REQUIREMENTS")  # what it may have
LAYER = "stack.settings"  # what every role runs with, whatever the project's own module is
OURS = ("stack", "demo")
# Folders in which no project's own code lies.
SKIPPED = (
    "__pycache__",
    "node_modules",
    "site-packages",
    "venv",
    "env",
    "static",
    "staticfiles",
    "media",
    "migrations",
)
TESTS = ("test", "tests", "tests.py", "conftest.py")
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
    folder = said.get("PROJECT_DIR", "")
    if folder and not os.path.isdir(os.path.join(app, folder)):
        raise BadValue(f"PROJECT_DIR={folder!r}: there is no such folder in {app}.")
    place = os.path.normpath(os.path.join(app, folder)) if folder else _folder(app)
    # A package that has its settings.py in itself is imported from the folder around it.
    inside = folder or os.path.isfile(os.path.join(place, "manage.py"))
    top = place if inside else os.path.dirname(place)
    if top != app and (os.path.isdir(os.path.join(top, OURS[0])) or os.path.isfile(os.path.join(top, "stack.py"))):
        raise BadValue(f"{top} has a module that is called stack, as the product's own is: call it something else.")
    settings = _named_settings(said) or _settings(top, place)
    packages = said.get("PROJECT_REQUIREMENTS", "")
    if packages and not os.path.isfile(os.path.join(app, packages)):
        raise BadValue(f"PROJECT_REQUIREMENTS={packages!r}: there is no such file in {app}.")
    celery = said.get("PROJECT_CELERY", "")
    if celery and not all(celery.partition(":")[::2]):
        raise BadValue(f"PROJECT_CELERY={celery!r}: it must be module:attribute, as shop.celery:app.")
    lists = (os.path.join(place, name) for name in REQUIREMENTS)
    return Project(
        dir=top,
        settings=settings,
        celery=celery,
        requirements=os.path.join(app, packages) if packages else next(filter(os.path.isfile, lists), ""),
        name=settings.partition(".")[0] if top == app else os.path.basename(top),
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
    for path in _modules(found.dir, [os.path.join(found.dir, name) for name in OURS] if found.dir == APP_DIR else []):
        with open(path, "rb") as file:
            text = file.read()
        if b"Celery(" not in text:
            continue
        module = os.path.relpath(path, found.dir)[: -len(".py")].replace(os.sep, ".").removesuffix(".__init__")
        for statement in _parsed(text).body:
            if attribute := _made(statement):
                apps[f"{module}:{attribute}"] = path
    return apps


def _named_settings(said: dict[str, str]) -> str:
    """The settings module that a variable names. Django's own variable does, unless it names the layer."""
    module = said.get("DJANGO_SETTINGS_MODULE", "")
    return said.get("PROJECT_SETTINGS", "") or ("" if module == LAYER else module)


def _folder(app: str) -> str:
    """The one folder of `app` that is a project; the demo where there is none."""
    folders = [
        entry.path
        for entry in sorted(os.scandir(app), key=lambda entry: entry.name)
        if (entry.is_dir() or _is_lost(entry.path))
        and not entry.name.startswith(".")
        and entry.name not in (*OURS, *SKIPPED)
    ]
    found = [path for path in folders if _is_project(path)]
    names = [os.path.basename(path) for path in found]
    if len(found) > 1:
        raise BadValue(
            f"{app} holds {len(found)} projects: {' and '.join(names)}. Say which one runs: write "
            f"PROJECT_DIR={names[0]} into {os.path.join(app, FILE)}."
        )
    if found:
        if not os.path.isfile(os.path.join(found[0], "manage.py")) and not names[0].isidentifier():
            raise BadValue(
                f"{found[0]} has a settings.py and no manage.py, so it is imported as a package, and no package can be "
                f"called {names[0]}. Rename it, or copy the folder around it, which has the manage.py."
            )
        return found[0]
    for path in folders:
        _not_the_demos(path, app)
    if _is_project(demo := os.path.join(app, "demo")):
        return demo
    raise BadValue(
        f"There is no project in {app}: copy yours there, the folder with its manage.py (cp -r ../shop {app}/shop), or "
        f"write PROJECT_DIR= into {os.path.join(app, FILE)}."
    )


def _is_lost(path: str) -> bool:
    return os.path.islink(path) and not os.path.exists(path)


def _not_the_demos(path: str, app: str) -> None:
    """Refuse to run the demo in place of what is meant to be a project.

    Raises:
        BadValue: the folder has the manage.py deeper, or it is a link to nothing, or empty.
    """
    if _is_lost(path):
        raise BadValue(f"{path} is a link to {os.readlink(path)}, which is not there: copy the folder itself.")
    if all(name.startswith(".") for name in os.listdir(path)):
        raise BadValue(
            f"{path} is empty. If it is a git submodule, fetch it: git submodule update --init; else take it away."
        )
    for file in _modules(path):
        if os.path.basename(file) == "manage.py":
            deeper = os.path.relpath(os.path.dirname(file), app).replace(os.sep, "/")
            raise BadValue(
                f"{path} has no manage.py, {deeper} has: write PROJECT_DIR={deeper} into {os.path.join(app, FILE)}."
            )


def _is_project(path: str) -> bool:
    files = ("manage.py", "settings.py", os.path.join("settings", "__init__.py"))
    return any(os.path.isfile(os.path.join(path, name)) for name in files)


def _settings(top: str, place: str) -> str:
    """What the project's wsgi.py or asgi.py names, which is what its servers run with; else what manage.py names.

    Args:
        top: the folder from which the project is imported.
        place: the folder in which its files are.
    """
    servers = [path for path in _modules(place) if os.path.basename(path) in ("wsgi.py", "asgi.py")]
    for paths in (servers, [os.path.join(place, "manage.py")]):
        found = {module: path for path in reversed(paths) if (module := _names(path, top))}
        if len(found) > 1:
            raise BadValue(
                f"{' and '.join(sorted(found.values()))} name different settings modules. Say which one runs: write "
                f"PROJECT_SETTINGS={sorted(found)[0]} into {FILE}."
            )
        if found:
            return next(iter(found))
    if place != top:
        return f"{os.path.basename(place)}.settings"
    raise BadValue(
        f"Neither a wsgi.py nor the manage.py of {place} names a settings module that is there: write one into "
        f"{FILE}, as PROJECT_SETTINGS=shop.settings."
    )


def _names(path: str, top: str) -> str:
    """The settings module that the file at `path` puts into DJANGO_SETTINGS_MODULE, "" where it names none."""
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        tree = _parsed(file.read())
    for statement in ast.walk(tree):
        if not isinstance(statement, ast.Expr | ast.Assign):
            continue
        words = [node.value for node in ast.walk(statement) if isinstance(node, ast.Constant)]
        if "DJANGO_SETTINGS_MODULE" in words:
            for word in words:
                if isinstance(word, str) and _exists(word, top):
                    return word
    return ""


def _exists(module: str, top: str) -> bool:
    """Whether a module of this name lies in the folder `top`."""
    parts = module.split(".")
    path = os.path.join(top, *parts)
    # A name that ends with a dot is the beginning of one that is made at run time.
    return all(parts) and (os.path.isfile(f"{path}.py") or os.path.isfile(os.path.join(path, "__init__.py")))


def _made(statement: ast.stmt) -> str:
    """The name that a statement gives to a new Celery app, "" where it makes none."""
    value = getattr(statement, "value", None)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or not isinstance(value, ast.Call):
        return ""
    maker = value.func
    called = maker.id if isinstance(maker, ast.Name) else maker.attr if isinstance(maker, ast.Attribute) else ""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    return target.id if called == "Celery" and isinstance(target, ast.Name) else ""


def _modules(folder: str, skipped: list[str] | None = None, depth: int = 4) -> Iterator[str]:
    """The Python files below `folder`, those near the top first."""
    inner = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith((".", "test_")) or entry.name in (*SKIPPED, *TESTS) or entry.path in (skipped or []):
            continue
        if entry.is_dir() and depth and not os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
            inner.append(entry.path)
        elif entry.name.endswith(".py") and entry.is_file():
            yield entry.path
    for path in inner:
        yield from _modules(path, skipped, depth - 1)


def _parsed(text: bytes) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])
