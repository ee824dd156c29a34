"""A project that has never heard of the stack, put into a copy of the checkout as the README says, and nothing else.

The projects are in `projects/`, as their teams wrote them; no test changes a line of them.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

PROJECTS = Path(__file__).parent / "projects"


@dataclass(frozen=True)
class Project:
    """What a test must know of a project to use it as its people do."""

    name: str  # the folder below app/
    lines: dict[str, str] = field(default_factory=dict)  # what its team writes into the one file
    variables: dict[str, str] = field(default_factory=dict)  # and into `.env`, as it would anywhere


def startproject(folder: Path) -> None:
    """What `django-admin startproject mysite` makes, with the tutorial's files on top."""
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "django", "startproject", "mysite", str(folder)], check=True)
    source = PROJECTS / "tutorial"
    for package in ("mysite", "polls"):
        shutil.copytree(source / package, folder / package, dirs_exist_ok=True)
    with (folder / "mysite" / "settings.py").open("a") as settings:
        settings.write((source / "settings.more").read_text())


def adopt(root: Path, project: Project) -> None:
    """Put the project into the checkout at `root`: a copy of its folder, and its lines in the one file."""
    place = root / "app" / project.name
    if project.name == "tutorial":
        startproject(place)
    else:
        shutil.copytree(PROJECTS / project.name, place, ignore=shutil.ignore_patterns("__pycache__"))
    with (root / "app" / "project.env").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in project.lines.items())
    if project.variables:
        with (root / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in project.variables.items())


def edited_lines(root: Path) -> int:
    """Lines of the repository's own files that differ from what was cloned."""
    files = subprocess.check_output(["git", "diff", "--numstat", "HEAD"], cwd=root, text=True)
    return sum(int(added) + int(gone) for added, gone in re.findall(r"^(\d+)\t(\d+)\t", files, flags=re.M))
