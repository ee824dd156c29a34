"""Which Pythons the stack runs on stands in several files, and `make` takes the one that is named."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

from tests.bundle.matches import matches

PROJECT = Path(__file__).resolve().parents[2]
TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
PYTHONS = [minor for minor in range(30) if f"3.{minor}.5" in SpecifierSet(TABLE["requires-python"])]
LEAST, MOST = min(PYTHONS), max(PYTHONS)


def test_every_file_names_the_same_pythons() -> None:
    classifiers = [int(text.rpartition(".")[2]) for text in TABLE["classifiers"] if ":: Python :: 3." in text]
    assert classifiers == PYTHONS
    for name, said in {
        "CONTRIBUTING.md": f"on Python 3.{LEAST} to 3.{MOST}",
        "deploy/compose.md": f"3.{LEAST} to 3.{MOST}",
        "deploy/newer_python.sh": f"(3, 12) <= sys.version_info[:2] <= (3, {MOST})",
        "deploy/windows/dev.py": f"(3, {LEAST}) <= sys.version_info[:2] < (3, {MOST + 1})",
    }.items():
        assert said in (PROJECT / name).read_text(), name
    assert f"Python 3.{LEAST} to 3.{MOST} is needed" in (PROJECT / "deploy/windows/dev.py").read_text()
    newer = matches(r"python3\.(\d+)", (PROJECT / "deploy/newer_python.sh").read_text(), least=3)
    assert sorted(map(int, newer)) == [minor for minor in PYTHONS if minor >= 12]


def test_the_images_python_is_one_of_them() -> None:
    ((_, minor),) = matches(r"^ARG PYTHON_VERSION=(\d)\.(\d+)$", (PROJECT / "docker/Dockerfile").read_text(), least=1)
    assert int(minor) in PYTHONS


def made(*arguments: str) -> str:
    """What `make` would run for .venv."""
    command = ["make", "--dry-run", "--no-print-directory", *arguments, ".venv/.installed"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout


def test_a_named_python_of_another_version_makes_the_environment_anew(tmp_path: Path) -> None:
    other = tmp_path / "python3.99"
    other.write_text("#!/bin/sh\necho Python 3.99.0\n")
    other.chmod(0o755)
    assert f"deploy/venv.sh {other} anew" in made(f"PYTHON={other}")
    assert "anew" not in made(f"PYTHON={PROJECT}/.venv/bin/python")
    assert "anew" not in made()


def test_a_first_environment_by_a_named_python_begins_without_an_error(tmp_path: Path) -> None:
    command = ["make", "--dry-run", "-f", PROJECT / "Makefile", "-I", PROJECT, f"PYTHON={sys.executable}"]
    for name in ("docker/compose.mk", "k8s/cluster.mk", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    shutil.copytree(PROJECT / "requirements", tmp_path / "requirements")
    done = subprocess.run([*command, ".venv/.installed"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"deploy/venv.sh {sys.executable} anew" in done.stdout
    assert done.stderr == ""


def test_an_environment_behind_a_link_is_not_emptied(tmp_path: Path) -> None:
    """As in a second worktree, whose .venv is a link to that of the first."""
    root, shared = tmp_path / "checkout", tmp_path / "shared"
    (root / "deploy").mkdir(parents=True)
    (shared / "bin").mkdir(parents=True)
    shutil.copy(PROJECT / "deploy/venv.sh", root / "deploy/venv.sh")
    (root / ".venv").symlink_to(shared)
    python = tmp_path / "python3"
    python.write_text(
        '#!/bin/sh\n[ "$1 $2 $3" = "-m venv --clear" ] || exit 0\n'
        f'test ! -L "$4" && mkdir -p "$4/bin" && ln -s {python} "$4/bin/python"\n'
    )
    python.chmod(0o755)

    done = subprocess.run([root / "deploy/venv.sh", python, "anew"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert not (root / ".venv").is_symlink()
    assert list(shared.iterdir()) == [shared / "bin"]
