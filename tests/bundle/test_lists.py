"""When `make` installs a project's packages: a list that was not there, or that changed, wherever the project lies."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
OLD = 1_600_000_000  # seconds: long before anything was installed


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose .venv has what it lists, and a project with an old list beside it."""
    root, shop = tmp_path / "checkout", tmp_path / "shop"
    for name in ("Makefile", "docker/compose.mk", "k8s/cluster.mk", "requirements", "app/project.env"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, root / name)
    (root / ".venv").mkdir()
    installed(root, "app/project.env")
    (shop / "src").mkdir(parents=True)
    for folder in (shop, shop / "src"):
        (folder / "requirements.txt").touch()
        os.utime(folder / "requirements.txt", (OLD, OLD))
    return root


def installed(root: Path, lists: str) -> None:
    """As deploy/venv.sh leaves it."""
    (root / ".venv/.lists").write_text(lists + "\n")
    (root / ".venv/.installed").touch()


def fresh(root: Path) -> bool:
    done = subprocess.run(["make", "-q", ".venv/.installed"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0


def test_a_project_behind_a_new_link_is_installed_however_old_its_list_is(checkout: Path) -> None:
    assert fresh(checkout)
    (checkout / "app/shop").symlink_to("../../shop")
    assert not fresh(checkout)
    installed(checkout, "app/project.env app/shop/requirements.txt")
    assert fresh(checkout)


def test_a_changed_list_beside_a_manage_py_in_a_folder_below_is_installed(checkout: Path) -> None:
    (checkout / "app/shop").symlink_to("../../shop")
    (checkout / "app/project.env").write_text("PROJECT_DIR=shop/src\n")
    installed(checkout, "app/project.env app/shop/requirements.txt app/shop/src/requirements.txt")
    assert fresh(checkout)
    later = (checkout / ".venv/.installed").stat().st_mtime + 5
    os.utime(checkout / "app/shop/src/requirements.txt", (later, later))
    assert not fresh(checkout)


def test_the_names_of_the_lists_are_noted_when_they_are_installed() -> None:
    lines = (CHECKOUT / "deploy/venv.sh").read_text().splitlines()
    assert lines[-2:] == ['echo "${LISTS:-}" >.venv/.lists', "touch .venv/.installed"]
