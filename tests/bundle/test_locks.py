"""The locks of both Djangos, and which Pythons they are for."""

import re
import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from tests.bundle.matches import matches

PROJECT = Path(__file__).resolve().parents[2]
PROJECT_TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


def lock(name: str) -> dict[str, str]:
    text = (PROJECT / f"requirements/{name}.txt").read_text()
    return dict(matches(r"^([a-z0-9-]+)(?:\[.*\])?==([^ ;]+)", text, least=15))


def test_both_locks_are_the_same_but_for_django() -> None:
    base, newer = lock("base"), lock("django60")
    assert (base["django"][:4], newer["django"][:4]) == ("5.2.", "6.0.")
    for each in (base, newer):
        each.pop("django")
        each.pop("async-timeout", None)  # for Pythons on which Django 6 does not run
    assert base == newer


def test_the_tests_of_both_djangos_use_the_same_tools() -> None:
    unit, dev = lock("unit"), lock("dev")
    assert unit == {name: dev[name] for name in unit}
    assert "django" not in unit


def test_each_lock_holds_what_pyproject_allows() -> None:
    for text in PROJECT_TABLE["dependencies"]:
        requirement = Requirement(text)
        for name in ("base", "django60"):
            assert requirement.specifier.contains(lock(name)[requirement.name]), (name, text)


def test_what_a_role_accepts_is_what_pyproject_says() -> None:
    text = (PROJECT / "app/stack/runtime/fitting.py").read_text()
    ((least, below),) = matches(r'"django": \(\((.+?)\), \((.+?)\)\)', text, least=1)
    django = next(Requirement(text) for text in PROJECT_TABLE["dependencies"] if text.startswith("django>"))
    said = {f">={least.replace(', ', '.')}", f"<{below.replace(', ', '.')}"}
    assert {str(part) for part in django.specifier} == said


def test_the_python_for_django_6_is_new_enough_or_said_to_be_missing() -> None:
    script = PROJECT / "deploy/newer_python.sh"
    done = subprocess.run([script], capture_output=True, text=True, check=False)
    if done.returncode:
        assert "Django 6 needs Python 3.12 or newer" in done.stderr
    else:
        asked = subprocess.check_output([done.stdout.strip(), "--version"], text=True)
        assert Version("3.12") <= Version(re.sub(r"^Python ", "", asked.strip())) < Version("3.15")
