"""A list of packages that only another tool reads: nothing of it would be installed, and nobody would say so.

Whoever installs or starts asks here: docker/requirements.py, what looks before `make up`, `service.py settings`.
Standard library only.
"""

import ast
import configparser
import os
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from stack.runtime.project import FILE, Project

PYPROJECT, MADE = "pyproject.toml", "requirements.txt"
# A file with one of these in its name lists nothing that a role needs.
DEVELOPMENT = ("dev", "test", "lint", "docs", "local", "constraints")


def unread(found: Project, app: str) -> str:
    """Why the packages that a project lists would not be installed, and the command or line that changes it.

    Args:
        found: the project, as `stack.runtime.project.project` has it.
        app: the folder that holds it, stack/ and project.env.

    Returns:
        str: two or three sentences; "" where they are installed, or where the project lists none.
    """
    named, name = found.requirements, os.path.basename(found.requirements)
    if name == PYPROJECT:
        data = _toml(named)
        if todo := left_to_a_tool(data):
            return _said(named, app, _here(named, app, todo))
        if _decides(data):
            return ""
    elif named:
        return _said(named, app, _here(named, app, TOOLS[name][1])) if name in TOOLS else ""
    for folder in _folders(found, app):
        for path, todo in _lists(folder, app):
            return _said(path, app, todo)
    return ""


def left_to_a_tool(data: dict[str, Any]) -> str:
    """The command that lists what a pyproject.toml leaves to one tool; "" if it leaves nothing.

    Args:
        data: what the file holds.
    """
    mine = data.get("project", {})
    dynamic = "dependencies" in mine.get("dynamic", ())
    if ("dependencies" not in mine or dynamic) and _poetry(data).keys() - {"python"}:
        return POETRY
    return COMPILED.format(PYPROJECT) if dynamic else ""


def _lists(folder: str, app: str) -> Iterator[tuple[str, str]]:
    """The files of a folder that list packages, each with what to do."""
    if os.path.isfile(path := os.path.join(folder, PYPROJECT)):
        if todo := left_to_a_tool(data := _toml(path)):
            yield path, _here(path, app, todo)
        elif data.get("project", {}).get("dependencies"):
            yield path, _line(path, app)
        if _decides(data):
            return
    for name, (lists, command) in TOOLS.items():
        if name == "Pipfile.lock" and os.path.isfile(os.path.join(folder, "Pipfile")):
            continue  # it only repeats that one
        if os.path.isfile(path := os.path.join(folder, name)) and lists(path):
            yield path, _here(path, app, command)
    for inner in (folder, os.path.join(folder, "requirements")):
        for name in sorted(os.listdir(inner)) if os.path.isdir(inner) else ():
            path, is_list = os.path.join(inner, name), inner != folder or name.startswith("requirements")
            if not is_list or any(word in name for word in DEVELOPMENT) or not os.path.isfile(path):
                continue
            if name.endswith(".txt"):
                yield path, _line(path, app)
            elif name.endswith(".in"):
                yield path, _here(path, app, COMPILED.format(os.path.relpath(path, folder)), folder)


def _folders(found: Project, app: str) -> Iterator[str]:
    """The folder of the project, then those around it below `app`."""
    # A package without a manage.py is imported from `app` itself.
    folder = os.path.join(app, found.settings.partition(".")[0]) if found.dir == app else found.dir
    while folder.startswith(app + os.sep):
        yield folder
        folder = os.path.dirname(folder)


def _said(path: str, app: str, todo: str) -> str:
    return (
        f"{_relative(path, os.path.dirname(app))} lists packages, and none of them is installed: the stack reads a "
        f"{MADE}, or [project] dependencies in a {PYPROJECT}. {todo}. A project that needs none has an empty {MADE}."
    )


def _here(path: str, app: str, command: str, folder: str = "") -> str:
    folder = folder or os.path.dirname(path)
    return f"In {_relative(folder, os.path.dirname(app))}: {command}"


def _line(path: str, app: str) -> str:
    return f"Write PROJECT_REQUIREMENTS={_relative(path, app)} into app/{FILE}"


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")


# ---- What a tool's file says --------------------------------------------------------------------


def _toml(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        try:
            return tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            return {}  # whoever installs from it says what is wrong


def _decides(data: dict[str, Any]) -> bool:
    """Whether a pyproject.toml says itself what is needed, be it nothing: a lock beside it only repeats it."""
    return "dependencies" in data.get("project", {}) or bool(_poetry(data))


def _poetry(data: dict[str, Any]) -> dict[str, Any]:
    """Poetry's table of packages; Python itself is one of them."""
    return dict(data.get("tool", {}).get("poetry", {}).get("dependencies", {}))


def _pipfile(path: str) -> bool:
    return bool(_toml(path).get("packages"))


def _setup_py(path: str) -> bool:
    with open(path, "rb") as file:
        try:
            tree = ast.parse(file.read())
        except (SyntaxError, ValueError):
            return False
    return any(isinstance(node, ast.keyword) and node.arg == "install_requires" for node in ast.walk(tree))


def _setup_cfg(path: str) -> bool:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return False
    return bool(parser.get("options", "install_requires", fallback="").strip())


def _conda(path: str) -> bool:
    with open(path, encoding="utf-8", errors="replace") as file:
        return any(line.startswith("dependencies:") for line in file)


COMPILED = f"pip-compile -o {MADE} {{}}"
POETRY = f"poetry export --without-hashes -o {MADE} (with the plugin poetry-plugin-export)"
PIPENV = f"pipenv requirements > {MADE}"
FROZEN = f"python -m pip list --format=freeze > {MADE}, with that environment active"
# Each file with whether it lists something, and the command that makes of it what is read.
TOOLS: dict[str, tuple[Callable[[str], Any], str]] = {
    "uv.lock": (os.path.getsize, f"uv export --no-dev --no-hashes --no-emit-project -o {MADE}"),
    "poetry.lock": (os.path.getsize, POETRY),
    "pdm.lock": (os.path.getsize, f"pdm export --prod --without-hashes -o {MADE}"),
    "Pipfile": (_pipfile, PIPENV),
    "Pipfile.lock": (os.path.getsize, PIPENV),
    "setup.cfg": (_setup_cfg, COMPILED.format("setup.cfg")),
    "setup.py": (_setup_py, COMPILED.format("setup.py")),
    "environment.yml": (_conda, FROZEN),
    "environment.yaml": (_conda, FROZEN),
}
