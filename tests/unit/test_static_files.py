"""Static files are collected by the role `migrate`, where the project's storage needs it; and by the image's build."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import override_settings

from stack.ops import static
from tests.machine import patience

PROJECT = Path(__file__).resolve().parents[2]
SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.staticfiles"]
ROOT_URLCONF = "shop.urls"
STATIC_URL = "/assets/"
STATICFILES_DIRS = [BASE_DIR / "files"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "%s"},
}
"""
# As a bucket of a cloud is: no folder of this machine, as far as Django knows.
BUCKET = """
import os
from django.core.files.storage import Storage
class Bucket(Storage):
    place = os.path.join(os.path.dirname(__file__), "bucket")
    def exists(self, name):
        return os.path.exists(os.path.join(self.place, name))
    def _save(self, name, content):
        file = os.path.join(self.place, name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as out:
            out.write(content.read())
        return name
"""
DJANGO = "django.contrib.staticfiles.storage."


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project with two static files, of which one refers to the other."""
    folder = tmp_path / "shop"
    (folder / "shop").mkdir(parents=True)
    (folder / "files").mkdir()
    (folder / "manage.py").write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n')
    (folder / "shop/__init__.py").touch()
    (folder / "shop/urls.py").write_text("urlpatterns = []\n")
    (folder / "shop/bucket.py").write_text(BUCKET)
    (folder / "files/site.css").write_text('body { background: url("dot.svg"); }\n')
    (folder / "files/dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>\n')
    return folder


def migrate(shop: Path, storage: str, **more: str) -> None:
    """Run the role with this storage for static files."""
    (shop / "shop/settings.py").write_text(SETTINGS % storage)
    env = {"PATH": os.environ["PATH"], "PROJECT_DIR": str(shop), "RUN_DIR": str(shop)}
    env |= {"SECRET_KEY": "k" * 50, "REDIS_PASSWORD": "x", "LOG_FORMAT": "console"} | more
    command = [sys.executable, PROJECT / "app/service.py", "run", "migrate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience(60), env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_storage_that_hashes_names_is_collected_by_migrate(shop: Path, tmp_path: Path) -> None:
    migrate(shop, DJANGO + "ManifestStaticFilesStorage", STATIC_ROOT=str(tmp_path / "static"))

    manifest = json.loads((tmp_path / "static/staticfiles.json").read_text())["paths"]
    assert manifest["dot.svg"] in (tmp_path / "static" / manifest["site.css"]).read_text()


def test_a_storage_elsewhere_is_filled_by_migrate(shop: Path) -> None:
    migrate(shop, "shop.bucket.Bucket")
    assert {"dot.svg", "site.css"} <= {file.name for file in (shop / "shop/bucket").iterdir()}


@pytest.mark.parametrize(
    ("storage", "named", "made", "collects"),
    [
        (DJANGO + "StaticFilesStorage", False, False, False),
        (DJANGO + "StaticFilesStorage", True, False, True),
        ("whitenoise.storage.CompressedStaticFilesStorage", False, False, False),
        (DJANGO + "ManifestStaticFilesStorage", False, False, True),
        ("whitenoise.storage.CompressedManifestStaticFilesStorage", False, True, True),
        ("django.core.files.storage.InMemoryStorage", False, False, True),
        ("django.core.files.storage.InMemoryStorage", True, True, True),
    ],
)
def test_static_files_are_collected_where_storage_or_place_needs_it(
    storage: str, named: bool, made: bool, collects: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "static"
    if made:
        folder.mkdir()
    with override_settings(STATIC_ROOT=str(folder), STORAGES={"staticfiles": {"BACKEND": storage}}):
        assert static.needed({"STATIC_ROOT": str(folder)} if named else {}) is collects


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; tests/compose has the image")
def test_a_folder_that_is_not_ours_to_write_has_been_collected(tmp_path: Path) -> None:
    (tmp_path / "static").mkdir(mode=0o555)
    manifest = {"staticfiles": {"BACKEND": DJANGO + "ManifestStaticFilesStorage"}}
    with override_settings(STATIC_ROOT=str(tmp_path / "static"), STORAGES=manifest):
        assert not static.needed({"STATIC_ROOT": str(tmp_path / "static")})


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (KeyError("STRIPE_KEY"), "STRIPE_KEY"),
        (KeyError("DSN"), "DSN"),
        (ValueError("Set the STRIPE_KEY environment variable"), "STRIPE_KEY"),
        (ValueError("STRIPE_KEY not found. Declare it as envvar or define a default value."), "STRIPE_KEY"),
    ],
)
def test_a_variable_that_is_missing_in_the_build_is_named(said: Exception, name: str) -> None:
    sys.path.append(str(PROJECT / "docker"))
    import collectstatic

    assert f"write a value for the build into docker/build.env, as {name}=none" in collectstatic.reason(said)
