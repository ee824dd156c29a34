"""What the Python files of a project say, read and not run: Django does not exist yet. Standard library only."""

import ast
import os
from collections.abc import Iterator, Sequence
from typing import TypeGuard

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


def modules(folder: str, skipped: Sequence[str] = (), depth: int = 4) -> Iterator[str]:
    """The Python files below `folder`, those near the top first; tests are not among them.

    Args:
        skipped: paths that are left out, besides the names of SKIPPED.
        depth: how many folders deep.
    """
    inner = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError:  # the volume of a database, beside the code
        return
    for entry in entries:
        if entry.name.startswith((".", "test_")) or entry.name in (*SKIPPED, *TESTS) or entry.path in skipped:
            continue
        if entry.is_dir() and depth and not os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
            inner.append(entry.path)
        elif entry.name.endswith(".py") and entry.is_file():
            yield entry.path
    for path in inner:
        yield from modules(path, skipped, depth - 1)


def named_settings(path: str, top: str) -> str:
    """The settings module that the file at `path` puts into DJANGO_SETTINGS_MODULE, "" where it names none."""
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        tree = parsed(file.read())
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


def new_app(statement: ast.stmt, makers: set[str]) -> str:
    """The name that a statement gives to a new Celery app, "" where it makes none.

    Args:
        makers: what makes one when it is called, by name: `Celery`, and the file's own classes and functions.
    """
    value = getattr(statement, "value", None)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or not isinstance(value, ast.Call):
        return ""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    return target.id if _word(value.func) in makers and isinstance(target, ast.Name) else ""


def makes(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.ClassDef]:
    """Whether it is a function that returns a new Celery app, or a class of such apps."""
    if isinstance(node, ast.ClassDef):
        return "Celery" in map(_word, node.bases)
    if not isinstance(node, ast.FunctionDef):
        return False
    # Not one that only asks other workers by an app of its own.
    inside = list(ast.walk(node))
    made = {name for each in inside if isinstance(each, ast.stmt) and (name := new_app(each, {"Celery"}))}
    answers = [each.value for each in inside if isinstance(each, ast.Return)]
    return any(
        _word(each.func) == "Celery" if isinstance(each, ast.Call) else isinstance(each, ast.Name) and each.id in made
        for each in answers
    )


def _word(node: ast.expr) -> str:
    """The last name of what is called: Celery, celery.Celery and Celery[Task] are one."""
    if isinstance(node, ast.Subscript):
        return _word(node.value)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def parsed(text: bytes) -> ast.Module:
    """The statements of a file; none where it is no Python of this version."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])
