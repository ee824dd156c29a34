"""docker/python_fits.py: a Python on which the stack does not run is named before anything is installed."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import patience

PROJECT = Path(__file__).resolve().parents[2]
FILE = PROJECT / "docker" / "python_fits.py"
spec = importlib.util.spec_from_file_location("python_fits", FILE)
assert spec
assert spec.loader
python_fits = importlib.util.module_from_spec(spec)
spec.loader.exec_module(python_fits)

sys.path.append(str(PROJECT / "docker"))
import requirements as packages  # noqa: E402


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (3, 13, 0), (3, 14, 8)])
def test_a_python_that_the_stack_runs_on_is_taken(version: tuple[int, int, int]) -> None:
    assert python_fits.refusal(version) is None


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 13), (3, 15, 0), (4, 0, 0)])
def test_another_python_is_named_with_what_to_do(version: tuple[int, int, int]) -> None:
    said = python_fits.refusal(version)
    assert said.startswith(f"Python {'.'.join(map(str, version))} does not fit: the stack runs on Python 3.11 to 3.14.")
    assert "make up PYTHON=" in said
    assert "PYTHON_VERSION=3.13 in .env" in said


def test_make_up_refuses_a_python_that_does_not_fit(tmp_path: Path) -> None:
    for name in ("deploy/venv.sh", "docker/python_fits.py"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(PROJECT / name, tmp_path / name)
    (tmp_path / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.98,<3.100"\n')
    command = [tmp_path / "deploy/venv.sh", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience(20), check=False)
    assert done.returncode == 1
    assert "does not fit: the stack runs on Python 3.98 to 3.99." in done.stderr
    assert not (tmp_path / ".venv").exists()
    command = [tmp_path / "deploy/venv.sh", "no-such-python"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience(20), check=False)
    assert (done.returncode, done.stderr.partition(" here.")[0]) == (1, "There is no Python 'no-such-python'")


def test_django_6_on_a_python_that_is_too_old_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = tmp_path / "app" / "shop"
    shop.mkdir(parents=True)
    (shop / "manage.py").write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")\n')
    (shop / "settings.py").touch()
    (shop / "requirements.txt").write_text("django>=6.0\n")
    monkeypatch.setattr(packages.sys, "version_info", (3, 12, 1))
    packages.read(tmp_path / "app", tmp_path / "out")
    assert "django==6.0" in (tmp_path / "out/lock.txt").read_text()
    monkeypatch.setattr(packages.sys, "version_info", (3, 11, 7))
    with pytest.raises(packages.Stop, match=r"asks for Django 6, which needs Python 3\.12 or newer.*PYTHON_VERSION=3"):
        packages.read(tmp_path / "app", tmp_path / "out")
