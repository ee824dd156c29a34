"""The variables in the code, in `.env.example` and in the README are the same."""

import re
from pathlib import Path

from stack.runtime.variables import VARS, example
from tests.bundle.matches import matches

PROJECT = Path(__file__).resolve().parents[2]
CODE = [path for path in (PROJECT / "app").rglob("*.py") if "migrations" not in path.parts]
DEPLOY = list((PROJECT / "deploy").rglob("*.py"))
READ = re.compile(
    r"""(?:(?<![.\w])get\(\s*|\b(?:environments|folder)\(\s*|(?:env|ENV|environ)\.get\(\s*|\benv\[|\benviron\[|\bgetenv\(\s*)["']([A-Z][A-Z_]+)["']"""
)
# Not of the stack: the system's, Django's, what Celery and gunicorn read and is refused, the file of a secret, and
# choices of the Makefile; and where the project is, which app/project.env says.
OTHERS = {"PYTHONPATH", "DJANGO_SETTINGS_MODULE", "REMAP_SIGTERM", "GUNICORN_CMD_ARGS", "SECRET_KEY_FILE"}
OTHERS |= {"OVERLAY", "AUDIT_URL", "AUDIT_IGNORE", "ARGS", "ROLE", "TAIL", "FOLLOW", "TAG", "REGISTRY", "PLATFORM"}
OTHERS |= {"REVISION", "TARGET"}
OTHERS |= {"PROJECT_DIR", "PROJECT_SETTINGS", "PROJECT_CELERY", "PROJECT_REQUIREMENTS"}


def names_read() -> set[str]:
    return {name for path in CODE + DEPLOY for name in READ.findall(path.read_text())}


def test_every_variable_that_is_read_is_declared() -> None:
    assert names_read() - OTHERS <= VARS.keys()


def test_every_declared_variable_is_read() -> None:
    assert VARS.keys() <= names_read()


def test_env_example_is_what_the_declarations_make() -> None:
    assert (PROJECT / ".env.example").read_text() == example(), "run `make env-example`"


def test_no_variable_begins_with_the_prefix_of_celerys_command_line() -> None:
    assert [name for name in VARS if name.startswith("CELERY_")] == []


def test_every_variable_of_the_readme_exists() -> None:
    text = (PROJECT / "README.md").read_text()
    settings = re.findall(r"`(CELERY_[A-Z_]+|DJANGO_[A-Z_]+|PROJECT_APPS|INSTALLED_APPS)`", text)
    named = set(matches(r"`([A-Z][A-Z]+_[A-Z_]+)`", text, least=8)) - set(settings)
    assert {name.removesuffix("_FILE") for name in named} - VARS.keys() - {"NAME"} == set()
