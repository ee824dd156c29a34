"""Lists of packages that only another tool reads: each is named with the command that makes of it what is read."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.runtime.packages import unread
from stack.runtime.project import project
from tests.machine import patience

CHECKOUT = Path(__file__).resolve().parents[2]
POETRY = '[tool.poetry]\nname = "shop"\n\n[tool.poetry.dependencies]\npython = "^3.11"\ndjango = "^5.2"\n'
UV = '[project]\nname = "shop"\ndependencies = ["django", "celery"]\n'
DYNAMIC = '[project]\nname = "shop"\ndynamic = ["dependencies"]\n'
LOCK = "version = 1\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app/ with a project `shop` in it that lists nothing yet."""
    write(tmp_path / "app/stack/__init__.py")
    write(tmp_path / "app/shop/manage.py", 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n')
    write(tmp_path / "app/shop/shop/settings.py")
    return tmp_path / "app"


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def said(app: Path, files: dict[str, str], **env: str) -> str:
    for name, text in files.items():
        write(app / name, text)
    return unread(project(env, str(app)), str(app))


@pytest.mark.parametrize(
    ("files", "named", "todo"),
    [
        ({"Pipfile": "[packages]\ndjango = '*'\n"}, "Pipfile", "pipenv requirements > requirements.txt"),
        ({"Pipfile.lock": "{}"}, "Pipfile.lock", "pipenv requirements > requirements.txt"),
        ({"pyproject.toml": POETRY}, "pyproject.toml", "poetry export --without-hashes -o requirements.txt"),
        ({"pyproject.toml": POETRY, "poetry.lock": LOCK}, "pyproject.toml", "poetry export"),
        (
            {"pyproject.toml": '[project]\nname = "shop"\ndynamic = ["dependencies"]\n' + POETRY},
            *("pyproject", "poetry"),
        ),
        (
            {"pyproject.toml": DYNAMIC, "setup.py": "setup()"},
            "pyproject.toml",
            "pip-compile -o requirements.txt pyproject.toml",
        ),
        ({"pyproject.toml": "[tool.ruff]\n", "uv.lock": LOCK}, "uv.lock", "uv export --no-dev --no-hashes"),
        ({"poetry.lock": LOCK}, "poetry.lock", "poetry export"),
        ({"pdm.lock": LOCK}, "pdm.lock", "pdm export"),
        ({"setup.py": "setup(install_requires=['django'])"}, "setup.py", "pip-compile -o requirements.txt setup.py"),
        ({"setup.cfg": "[options]\ninstall_requires =\n    django\n"}, "setup.cfg", "pip-compile"),
        ({"environment.yml": "name: shop\ndependencies:\n  - django\n"}, "environment.yml", "list --format=freeze"),
        ({"requirements.in": "django\n"}, "requirements.in", "pip-compile -o requirements.txt requirements.in"),
        ({"requirements/live.in": "x\n"}, "requirements/live.in", "In app/shop: pip-compile -o requirements.txt req"),
        ({"requirements-live.txt": "x\n"}, "requirements-live.txt", "PROJECT_REQUIREMENTS=shop/requirements-live.txt"),
        ({"requirements/live.txt": "x\n"}, "live.txt", "Write PROJECT_REQUIREMENTS=shop/requirements/live.txt into"),
    ],
)
def test_a_list_that_is_not_read_is_named_with_what_to_do(
    files: dict[str, str], named: str, todo: str, app: Path
) -> None:
    text = said(app, {f"shop/{name}": content for name, content in files.items()})
    assert text.startswith("app/shop/")
    assert named in text.partition(" lists packages, and none of them is installed")[0]
    assert todo in text
    assert text.endswith("A project that needs none has an empty requirements.txt.")
    assert said(app, {"shop/requirements.txt": ""}) == ""


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pyproject.toml": UV, "uv.lock": LOCK},
        {"pyproject.toml": UV, "Pipfile": "[packages]\ndjango = '*'\n", "setup.py": "setup(install_requires=['x'])"},
        {"pyproject.toml": UV + POETRY, "poetry.lock": LOCK},
        {"pyproject.toml": '[project]\nname = "shop"\ndependencies = []\n', "uv.lock": LOCK},
        {"pyproject.toml": POETRY.replace('django = "^5.2"', ""), "poetry.lock": LOCK},
        {"requirements/production.txt": "django\n", "uv.lock": LOCK, "environment.yml": "dependencies:\n"},
        {"Pipfile": "[packages]\n[dev-packages]\npytest = '*'\n", "Pipfile.lock": "{}"},
        {"setup.py": "setup(name='shop')", "setup.cfg": "[flake8]\nmax-line-length = 120\n"},
        {"requirements-dev.txt": "pytest\n", "requirements/test.txt": "pytest\n", "requirements/constraints.txt": ""},
        {"pyproject.toml": "[tool.ruff]\nline-length = 100\n"},
        {"pyproject.toml": "no TOML", "setup.py": "no Python at all", "setup.cfg": "no [section", "Pipfile": "[["},
    ],
)
def test_a_list_that_is_read_or_a_project_that_has_none_is_fine(files: dict[str, str], app: Path) -> None:
    assert said(app, {f"shop/{name}": content for name, content in files.items()}) == ""


def test_a_list_around_the_folder_of_manage_py_is_named_with_its_line(app: Path) -> None:
    for file in ("manage.py", "shop"):
        (app / "shop/src").mkdir(exist_ok=True)
        (app / "shop" / file).rename(app / "shop/src" / file)
    text = said(app, {"shop/requirements.txt": "django\n"}, PROJECT_DIR="shop/src")
    assert "app/shop/requirements.txt lists" in text
    assert "Write PROJECT_REQUIREMENTS=shop/requirements.txt into app/project.env." in text
    assert said(app, {}, PROJECT_DIR="shop/src", PROJECT_REQUIREMENTS="shop/requirements.txt") == ""
    (app / "shop/requirements.txt").unlink()
    text = said(app, {"shop/pyproject.toml": UV, "shop/uv.lock": LOCK}, PROJECT_DIR="shop/src")
    assert "shop/uv.lock lists" not in text
    assert "PROJECT_REQUIREMENTS=shop/pyproject.toml" in text


def test_a_file_of_another_tool_that_the_one_file_names_is_refused_too(app: Path) -> None:
    text = said(app, {"shop/Pipfile": "[packages]\n"}, PROJECT_REQUIREMENTS="shop/Pipfile")
    assert "pipenv requirements > requirements.txt" in text


def test_a_package_without_a_manage_py_is_looked_into_as_well(app: Path) -> None:
    (app / "shop/manage.py").unlink()
    (app / "shop/shop/settings.py").rename(app / "shop/settings.py")
    assert "pipenv" in said(app, {"shop/Pipfile": "[packages]\ndjango = '*'\n"})


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["docker/requirements.py", "read", "app", "out"], 1),
        (["-c", "import sys; sys.path.insert(0, 'deploy'); import os, preflight; preflight.preflight(os.environ)"], 1),
        (["-c", "import sys; sys.path.insert(0, 'deploy/windows'); import os, dev; dev.preflight(os.environ, {})"], 1),
        (["app/service.py", "settings", "TIME_ZONE"], 0),
    ],
    ids=["install", "make up", "windows", "settings"],
)
def test_who_installs_or_starts_says_it_and_settings_too(command: list[str], code: int, app: Path) -> None:
    """In a checkout of its own."""
    for name in ("app/stack", "docker", "deploy"):
        ignore = shutil.ignore_patterns("__pycache__", "static")
        shutil.copytree(CHECKOUT / name, app.parent / name, ignore=ignore, dirs_exist_ok=True)
    for name in ("app/service.py", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, app.parent / name)
    write(app / "shop/Pipfile", "[packages]\ndjango = '*'\n")
    env = {"PATH": "/usr/bin:/bin", "SECRET_KEY": "k" * 50, "REDIS_PASSWORD": "unused", "FLOWER_PASSWORD": "unused"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=app.parent,
        env=env,
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=False,
    )
    assert "app/shop/Pipfile lists packages, and none of them is installed" in done.stderr
    assert done.returncode == code, done.stderr
    assert (code == 1) == (done.stdout == "")
