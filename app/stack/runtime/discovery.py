"""Which folder of app/ is the project, and which settings module it has, where nobody says it: by convention.

Every error names the line to write into project.env.
"""

import os

from stack.runtime.env import BadValue
from stack.runtime.sources import SKIPPED, modules, named_settings

FILE = "project.env"
OURS = ("stack", "demo")


def folder(app: str) -> str:
    """The path of the one folder of `app` that is a project; the demo where there is none.

    Raises:
        BadValue: there are several, or one that cannot be used, or neither one nor the demo.
    """
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
        BadValue: the folder has the manage.py deeper, or it is a link to nothing, or empty, or cannot be read.
    """
    if _is_lost(path):
        raise BadValue(f"{path} is a link to {os.readlink(path)}, which is not there: copy the folder itself.")
    try:
        names = os.listdir(path)
    except PermissionError:
        raise BadValue(f"{path} cannot be read: give this user the right to, or take it away.") from None
    if all(name.startswith(".") for name in names):
        raise BadValue(
            f"{path} is empty. If it is a git submodule, fetch it: git submodule update --init; else take it away."
        )
    for file in modules(path):
        if os.path.basename(file) == "manage.py":
            deeper = os.path.relpath(os.path.dirname(file), app).replace(os.sep, "/")
            raise BadValue(
                f"{path} has no manage.py, {deeper} has: write PROJECT_DIR={deeper} into {os.path.join(app, FILE)}."
            )


def _is_project(path: str) -> bool:
    files = ("manage.py", "settings.py", os.path.join("settings", "__init__.py"))
    return any(os.path.isfile(os.path.join(path, name)) for name in files)


def settings(top: str, place: str) -> str:
    """What the project's wsgi.py or asgi.py names, which is what its servers run with; else what manage.py names.

    Args:
        top: the folder from which the project is imported.
        place: the folder in which its files are.

    Raises:
        BadValue: they name none, or several.
    """
    servers = [path for path in modules(place) if os.path.basename(path) in ("wsgi.py", "asgi.py")]
    for paths in (servers, [os.path.join(place, "manage.py")]):
        found = {module: path for path in reversed(paths) if (module := named_settings(path, top))}
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
