"""Which project lies in app/, and which of its modules run: by convention, and as the one file says."""

import errno
import os
from pathlib import Path

import pytest
from django.core.management import call_command

from stack.runtime.env import BadValue
from stack.runtime.project import FILE, Project, celery_apps, project

SERVER = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', '{}')\n"
CELERY = "from celery import Celery\n\napp = Celery('{}')\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder as app/ is, with the stack and the demo in it."""
    (tmp_path / "stack").mkdir()
    write(tmp_path / "demo/settings.py")
    return tmp_path


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def started(folder: Path, name: str = "shop") -> None:
    """What `django-admin startproject` writes."""
    folder.mkdir(parents=True)
    call_command("startproject", name, str(folder))


def found(app: Path, **variables: str) -> Project:
    return project(variables, str(app))


def test_a_started_project_is_found_by_its_manage_py(app: Path) -> None:
    started(app / "shop")
    write(app / "shop/requirements.txt")

    assert found(app) == Project(
        dir=str(app / "shop"),
        settings="shop.settings",
        celery="",
        requirements=str(app / "shop/requirements.txt"),
        name="shop",
    )


def test_a_folders_name_may_be_no_name_of_a_module(app: Path) -> None:
    started(app / "my-shop.v2")
    assert found(app)[:2] == (str(app / "my-shop.v2"), "shop.settings")


def test_a_package_with_its_settings_is_imported_from_app(app: Path) -> None:
    started(app / "aside")
    (app / "aside/shop").rename(app / "shop")
    (app / "aside/manage.py").unlink()
    (app / "aside").rmdir()

    assert found(app)[:2] == (str(app), "shop.settings")
    assert found(app).name == "shop"


def test_a_package_without_a_server_file_has_its_own_settings(app: Path) -> None:
    write(app / "shop/settings/__init__.py")
    assert found(app).settings == "shop.settings"


@pytest.mark.parametrize("server", ["wsgi.py", "asgi.py"])
def test_the_servers_settings_run_where_they_are_split(app: Path, server: str) -> None:
    for name in ("__init__", "base", "local", "production"):
        write(app / f"shop/config/settings/{name}.py")
    write(app / "shop/manage.py", SERVER.format("config.settings.local"))
    write(app / f"shop/config/{server}", SERVER.format("config.settings.production"))

    assert found(app).settings == "config.settings.production"
    assert found(app).name == "shop"


def test_without_a_server_file_manage_py_says_the_settings(app: Path) -> None:
    write(app / "shop/manage.py", "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n")
    write(app / "shop/settings.py")
    assert found(app).settings == "settings"


def test_settings_with_a_default_of_the_environment_are_read(app: Path) -> None:
    write(app / "shop/wsgi.py", "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = os.getenv('SITE', 'shop.live')\n")
    write(app / "shop/manage.py")
    write(app / "shop/shop/live.py")
    assert found(app).settings == "shop.live"


def test_files_that_are_called_as_ours_are_the_projects(app: Path) -> None:
    started(app / "shop")
    for name in ("service.py", "gunicorn.conf.py", "flowerconfig.py", "project.env"):
        write(app / "shop" / name, "PROJECT_SETTINGS=of.somebody.else\n")
    assert found(app).settings == "shop.settings"


def test_without_a_project_the_demo_runs(app: Path) -> None:
    (app / "static").mkdir()
    write(app / "tools/sums.py")
    assert found(app)[:2] == (str(app), "demo.settings")


def test_two_projects_are_named_with_the_line_to_write(app: Path) -> None:
    started(app / "shop")
    started(app / "stock", "stock")
    with pytest.raises(BadValue, match=r"2 projects: shop and stock.*PROJECT_DIR=shop into .*/project\.env"):
        found(app)

    write(app / FILE, "# ours\nPROJECT_DIR=stock\n")
    assert found(app).settings == "stock.settings"


def test_a_manage_py_one_folder_deeper_is_named_with_the_line(app: Path) -> None:
    started(app / "shop/src")
    with pytest.raises(BadValue, match=r"PROJECT_DIR=shop/src into "):
        found(app)
    assert found(app, PROJECT_DIR="shop/src")[:2] == (str(app / "shop/src"), "shop.settings")


def test_the_demo_never_runs_in_place_of_a_project(app: Path) -> None:
    write(app / "shop/.git", "gitdir: ../.git/modules/shop\n")
    with pytest.raises(BadValue, match=r"shop is empty.*git submodule update --init"):
        found(app)

    (app / "shop/.git").unlink()
    (app / "shop").rmdir()
    (app / "shop").symlink_to("../gone")
    with pytest.raises(BadValue, match=r"shop is a link to \.\./gone"):
        found(app)

    (app / "shop").unlink()
    started(app / "shop/backend/src")
    with pytest.raises(BadValue, match=r"PROJECT_DIR=shop/backend/src into "):
        found(app)


def test_a_linked_folder_is_a_project(app: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    started(there := tmp_path_factory.mktemp("repositories") / "shop")
    (app / "shop").symlink_to(there)
    assert found(app)[:2] == (str(app / "shop"), "shop.settings")


@pytest.mark.parametrize("line", ["PROJECT_SETTING=shop.settings", "export PROJECT_DIR=shop"])
def test_a_line_that_the_file_does_not_have_is_refused(app: Path, line: str) -> None:
    started(app / "shop")
    write(app / FILE, f"{line}\n")
    with pytest.raises(BadValue, match=rf"has {line.partition('=')[0]}, which is none of its lines: PROJECT_DIR, "):
        found(app)


def test_the_file_may_have_windows_line_ends_and_a_byte_order_mark(app: Path) -> None:
    started(app / "shop")
    (app / FILE).write_bytes(b"\xef\xbb\xbfPROJECT_DIR=shop\r\nPROJECT_CELERY=shop.celery:app\r\n")
    assert found(app)[:3] == (str(app / "shop"), "shop.settings", "shop.celery:app")


def test_a_settings_module_that_is_made_at_run_time_is_asked_for(app: Path) -> None:
    started(app / "shop")
    write(app / "shop/shop/settings/__init__.py")
    text = "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = f'shop.settings.{os.environ[\"STAGE\"]}'\n"
    for file in ("manage.py", "shop/wsgi.py", "shop/asgi.py"):
        write(app / "shop" / file, text)
    with pytest.raises(BadValue, match="as PROJECT_SETTINGS="):
        found(app)


def test_a_folder_that_no_package_can_be_called_is_refused(app: Path) -> None:
    write(app / "my-shop/settings.py")
    with pytest.raises(BadValue, match="no package can be called my-shop"):
        found(app)


def test_a_project_with_a_module_called_stack_is_refused(app: Path) -> None:
    started(app / "shop")
    write(app / "shop/stack/__init__.py")
    with pytest.raises(BadValue, match="called stack"):
        found(app)


def test_servers_that_name_different_settings_are_refused(app: Path) -> None:
    started(app / "shop")
    write(app / "shop/shop/live.py")
    write(app / "shop/shop/asgi.py", SERVER.format("shop.live"))
    with pytest.raises(BadValue, match=r"asgi\.py and .*wsgi\.py.*PROJECT_SETTINGS=shop\.live"):
        found(app)
    assert found(app, PROJECT_SETTINGS="shop.settings").settings == "shop.settings"


def test_no_settings_at_all_are_an_error_with_the_line(app: Path) -> None:
    write(app / "shop/manage.py", SERVER.format("gone.settings"))
    with pytest.raises(BadValue, match="as PROJECT_SETTINGS="):
        found(app)


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("PROJECT_DIR", "gone", "there is no such folder"),
        ("PROJECT_REQUIREMENTS", "shop/gone.txt", "there is no such file"),
        ("PROJECT_CELERY", "shop.celery", "it must be module:attribute"),
    ],
)
def test_what_the_file_names_must_be_there(app: Path, variable: str, text: str, says: str) -> None:
    started(app / "shop")
    with pytest.raises(BadValue, match=f"{variable}='{text}': {says}"):
        found(app, **{variable: text})


def test_an_empty_app_says_what_to_copy(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match=r"no project in .*cp -r \.\./shop"):
        found(tmp_path)


def test_the_environment_wins_over_the_file(app: Path) -> None:
    started(app / "shop")
    write(app / FILE, "PROJECT_SETTINGS=shop.settings\nPROJECT_CELERY=shop.celery:app\n")

    one = found(app, PROJECT_SETTINGS="shop.other", PROJECT_CELERY="")
    assert (one.settings, one.celery) == ("shop.other", "shop.celery:app")


def test_djangos_own_variable_names_the_projects_settings(app: Path) -> None:
    started(app / "shop")
    assert found(app, DJANGO_SETTINGS_MODULE="shop.live").settings == "shop.live"
    assert found(app, DJANGO_SETTINGS_MODULE="stack.settings").settings == "shop.settings"
    assert found(app, DJANGO_SETTINGS_MODULE="shop.live", PROJECT_SETTINGS="shop.x").settings == "shop.x"


def test_celery_apps_are_named_with_their_files_and_tests_left_out(app: Path) -> None:
    started(app / "shop")
    write(app / "shop/shop/celery.py", CELERY.format("shop"))
    write(app / "shop/jobs/__init__.py", "import celery\nqueue: object = celery.Celery('jobs')\n")
    for name in ("tests/celery.py", "jobs/test_jobs.py", "conftest.py"):
        write(app / "shop" / name, CELERY.format("test"))
    write(app / "shop/.venv/x.py", CELERY.format("lib"))
    write(app / "shop/myenv/pyvenv.cfg")
    write(app / "shop/myenv/lib.py", CELERY.format("lib"))
    write(app / "shop/shop/broken.py", "Celery( this is no Python")

    assert celery_apps(found(app)) == {
        "jobs:queue": str(app / "shop/jobs/__init__.py"),
        "shop.celery:app": str(app / "shop/shop/celery.py"),
    }


@pytest.mark.parametrize(
    "code",
    [
        "from celery import Celery\n\napp = Celery[Any]('shop')\n",
        "import celery\n\nclass Ours(celery.Celery):\n    pass\n\napp = Ours('shop')\n",
        "class Ours(Celery, Mixin):\n    pass\n\napp = Ours('shop')\n",
        "def make():\n    from celery import Celery\n    made = Celery('shop')\n    return made\n\napp = make()\n",
        "def make():\n    return Celery('shop')\n\napp = make()\n",
    ],
    ids=["with a type", "of a class of its own", "of a class of two", "by a function", "by a short function"],
)
def test_a_celery_app_is_found_however_it_is_made(app: Path, code: str) -> None:
    started(app / "shop")
    write(app / "shop/shop/celery_app.py", code)
    write(app / "shop/shop/other.py", "def later():\n    return Celery('other')\n\nchosen = choice('shop')\n")

    assert list(celery_apps(found(app))) == ["shop.celery_app:app"]


def test_what_a_function_asks_by_an_app_of_its_own_is_no_app(app: Path) -> None:
    started(app / "shop")
    write(app / "shop/shop/celery.py", CELERY.format("shop"))
    asking = "def count():\n    there = Celery(broker='redis://else')\n    return len(there.control.ping())\n"
    write(app / "shop/shop/views.py", f"{asking}\nhow_many = count()\n")

    assert list(celery_apps(found(app))) == ["shop.celery:app"]


def test_the_shipped_file_says_nothing_and_names_every_line() -> None:
    text = (Path(__file__).parents[2] / "app" / FILE).read_text()
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == []
    for name in ("PROJECT_DIR", "PROJECT_SETTINGS", "PROJECT_CELERY", "PROJECT_REQUIREMENTS"):
        assert f"\n#{name}=" in text


def test_a_folder_that_nobody_here_may_read_hides_nothing_else(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(app / "shop")
    write(app / "shop/shop/celery.py", CELERY.format("shop"))
    (app / "shop/pgdata").mkdir()
    scan = os.scandir

    def scandir(path: str) -> "os._ScandirIterator[str]":
        if path == str(app / "shop/pgdata"):  # as the volume of a database: root may read it nevertheless
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)

    assert found(app).settings == "shop.settings"
    assert list(celery_apps(found(app))) == ["shop.celery:app"]


def test_the_demo_does_not_run_in_place_of_a_folder_that_cannot_be_read(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (app / "shop").mkdir()

    def listdir(path: str) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(BadValue, match=r"shop cannot be read: give this user the right to"):
        found(app)
