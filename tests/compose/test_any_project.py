"""An image of a project that never heard of the stack: its settings, its storage, its packages."""

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.test_image import MB, Image, layers, run, saved, sizes
from tests.e2e.supervisor import copy_checkout
from tests.machine import patience

SETTINGS = """
import os
PRICE_KEY = os.environ["PRICE_KEY"]
INSTALLED_APPS += ["goods"]
STATIC_ROOT = BASE_DIR / "collected"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
"""
VALUE = f"only-for-the-build-{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A checkout with what `startproject` and `startapp` make in it, and a storage that hashes names."""
    folder = copy_checkout()
    shop = folder / "app" / "shop"
    shop.mkdir()
    subprocess.run([sys.executable, "-m", "django", "startproject", "shop", shop], check=True)
    subprocess.run([sys.executable, "manage.py", "startapp", "goods"], cwd=shop, check=True)
    with (shop / "shop/settings.py").open("a") as file:
        file.write(SETTINGS)
    static = shop / "goods/static/goods"
    static.mkdir(parents=True)
    (static / "site.css").write_text('body { background: url("dot.svg"); }\n')
    (static / "dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>\n')
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def image(root: Path) -> Iterator[Image]:
    (root / "docker/build.env").write_text(f"# for the build\nPRICE_KEY={VALUE}\n")
    built = Image(root)
    yield built
    run("docker", "image", "rm", "--force", built.name)


def refusal(root: Path) -> str:
    """What a build says that must fail."""
    command = ("docker", "build", "--progress=plain", "-f", "docker/Dockerfile", ".")
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=patience(300), check=False)
    assert done.returncode != 0, done.stderr
    return done.stdout + done.stderr


def test_a_variable_that_the_settings_need_in_the_build_is_named(root: Path) -> None:
    said = refusal(root)
    assert "KeyError: 'PRICE_KEY' (/srv/app/shop/shop/settings.py, line" in said
    assert "write a value for the build into docker/build.env, as PRICE_KEY=none" in said


def test_hashed_names_lead_to_files_of_all_apps_and_of_the_project(image: Image) -> None:
    manifest = json.loads(image.sh("cat /srv/static/staticfiles.json"))["paths"]
    files = set(image.sh("cd /srv/static && find . -type f -printf '%P\\n'").split())
    assert set(manifest.values()) <= files
    assert {"admin/css/base.css", "goods/site.css", "ninja/swagger-ui-bundle.js"} <= manifest.keys()
    assert f"{manifest['admin/css/base.css']}.gz" in files
    dot = manifest["goods/dot.svg"].rpartition("/")[2]
    assert dot in image.sh(f"cat /srv/static/{manifest['goods/site.css']}")


def test_what_the_build_was_given_is_in_no_layer(image: Image) -> None:
    assert not [digest for digest, data in saved(image.name, skip=[]) if VALUE.encode() in data]


def test_a_changed_line_of_the_project_rewrites_no_static_file(image: Image) -> None:
    before = layers(image.name)
    file = image.root / "app/shop/goods/views.py"
    file.write_text(file.read_text() + f"\n# a change: {uuid.uuid4()}\n")
    image.build()

    rewritten = {digest: size for digest, (size, _) in sizes(image.name, skip=before).items()}
    assert 0 < sum(rewritten.values()) < 1 * MB, rewritten
    assert not [digest for digest, data in saved(image.name, skip=before) if b"staticfiles.json" in data]


def test_a_changed_static_file_is_collected_anew_and_back_again(image: Image) -> None:
    name = "cat /srv/static/staticfiles.json"
    file = image.root / "app/shop/goods/static/goods/dot.svg"
    first, text = json.loads(image.sh(name))["paths"], file.read_text()
    try:
        file.write_text("<svg/>\n")
        image.build()
        second = json.loads(image.sh(name))["paths"]
    finally:
        file.write_text(text)
    image.build()

    assert first["goods/site.css"] != second["goods/site.css"]
    assert json.loads(image.sh(name))["paths"] == first
    files = image.sh("ls /srv/static/goods").split()
    assert second["goods/dot.svg"].rpartition("/")[2] not in files, "a file of another version is left"


def test_a_pin_that_fights_the_stack_s_ends_the_build_and_names_both(root: Path) -> None:
    file = root / "app/shop/requirements.txt"
    file.write_text("celery==5.4.0\nredis==5.0.1\n")
    try:
        said = refusal(root)
    finally:
        file.unlink()
    assert (
        "shop/requirements.txt asks for celery==5.4.0, and the stack needs celery<5.8,>=5.7. Take celery==5.7.0" in said
    )
    assert "shop/requirements.txt asks for redis==5.0.1, and the stack needs redis<9,>=6.4." in said


@pytest.mark.slow
def test_packages_of_debian_are_there_and_those_for_the_build_are_not(image: Image) -> None:
    """It asks Debian's servers."""
    (image.root / "docker/apt.txt").write_text("# for pictures\n\ntree  # a tool\nhello build\n")
    image.build()
    assert "not found" not in image.sh("command -v tree || echo not found")
    assert image.sh("command -v hello || echo none").strip() == "none"
    assert image.sh("ls /var/lib/apt/lists | head -1").strip() == ""
