"""A Celery app that the project makes and nobody finds: by a function of another file, or within an `if`.

Reads files and imports none of them. Standard library only.
"""

import ast
import os
from collections.abc import Iterator
from importlib.util import resolve_name

from stack.runtime.project import Project, modules_of
from stack.runtime.sources import parsed

CELERY = ("celery.Celery", "celery.app.Celery", "celery.app.base.Celery")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def unclaimed(found: Project) -> str:
    """One sentence that names the file which makes an app when it is imported, with the line to write; else "".

    A function that makes one counts where a file calls it at its top. Tests are left out: what they make is theirs.
    """
    texts, sources = {}, {}
    for module, path in modules_of(found):
        with open(path, "rb") as content:
            texts[module, path] = content.read()
    # What makes an app when it is called, by its full name, and the file that calls Celery for it.
    makers, before = dict.fromkeys(CELERY, ""), 0
    while before < len(makers):
        before = len(makers)
        words = {name.rpartition(".")[2].encode() for name in makers}
        for (module, path), text in texts.items():
            if (module, path) not in sources and any(word in text for word in words):
                sources[module, path] = _Source(module, path, parsed(text))
        for source in sources.values():
            source.add_makers(makers)
    apps = [app for key in texts if key in sources for app in sources[key].made(makers)]
    if not apps:
        return ""
    named = [app for app in apps if app[1]]
    file, name = (named or apps)[0]
    return (
        f"{file} makes a Celery app that is not found by convention, so the stack runs one of its own, and nobody "
        f"runs the tasks of that one: write PROJECT_CELERY={name or 'module:attribute'} into app/project.env."
    )


class _Source:
    """One file of the project, with the full names of what it imports."""

    def __init__(self, module: str, path: str, tree: ast.Module):
        self.module, self.path, self.tree = module, path, tree
        inside = os.path.basename(path) == "__init__.py"
        package = module if inside else module.rpartition(".")[0]
        self.names: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    first = each.name.partition(".")[0]
                    self.names[each.asname or first] = each.name if each.asname else first
            elif isinstance(node, ast.ImportFrom):
                try:
                    origin = resolve_name("." * node.level + (node.module or ""), package)
                except ImportError:  # more dots than folders
                    continue
                self.names |= {each.asname or each.name: f"{origin}.{each.name}" for each in node.names}

    def add_makers(self, makers: dict[str, str]) -> None:
        """Add what of this file makes an app when it is called: its own, and what it imports for others."""
        for alias, name in self.names.items():
            if name in makers:
                makers.setdefault(f"{self.module}.{alias}", makers[name])
        for node in self.tree.body:
            if isinstance(node, (*_FUNCTIONS, ast.ClassDef)) and not isinstance(node, ast.Lambda):
                called = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
                for each in [*called, *getattr(node, "bases", ())]:
                    if (name := self._full(each)) in makers:
                        makers.setdefault(f"{self.module}.{node.name}", makers[name] or self.path)

    def made(self, makers: dict[str, str]) -> Iterator[tuple[str, str]]:
        """Each app that the import of this file makes: the file that calls Celery, and `module:attribute` or ""."""
        for node in _at_import(self.tree):
            if isinstance(node, ast.Call) and (name := self._full(node.func)) in makers:
                yield makers[name] or self.path, self._attribute(node)

    def _attribute(self, call: ast.Call) -> str:
        for node in _at_import(self.tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is call:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                return f"{self.module}:{target.id}" if isinstance(target, ast.Name) else ""
        return ""

    def _full(self, node: ast.expr) -> str:
        """The full name of what is called, "" where it has none."""
        node = node.value if isinstance(node, ast.Subscript) else node
        first, dot, rest = ast.unparse(node).partition(".")
        return self.names.get(first, f"{self.module}.{first}") + dot + rest if first.isidentifier() else ""


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What Python runs when it imports a file: no body of a function, and none of `if __name__ == "__main__"`."""
    for child in ast.iter_child_nodes(node):
        script = isinstance(child, ast.If) and "__name__" in ast.unparse(child.test)
        if not isinstance(child, _FUNCTIONS) and not script:
            yield child
            yield from _at_import(child)
