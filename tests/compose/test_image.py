"""The image: what it weighs, what a changed line costs, and what must not be in it."""

import gzip
import json
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.supervisor import copy_checkout
from tests.machine import patience

MB = 1_000_000
BASE = "python:3.13-slim-trixie"
# Where secrets lie in a checkout, and what each holds while the image is built.
PLACES = (
    ".env",
    "app/.env",
    "app/demo/.env.production",
    "app/demo/.envs/.production/.django",
    "docker/secrets/web/api_token",
    "run/secrets/web/secret_key",
)
MARKER = f"secret-{uuid.uuid4().hex}"


class Image:
    """An image built from a copy of the checkout."""

    def __init__(self, root: Path):
        self.root, self.name = root, f"image-test:{uuid.uuid4().hex[:8]}"
        self.build()

    def build(self) -> None:
        run("docker", "build", "-q", "-f", "docker/Dockerfile", "-t", self.name, ".", cwd=self.root)

    def sh(self, script: str) -> str:
        return run("docker", "run", "--rm", "--network", "none", "--entrypoint", "sh", self.name, "-c", script)


def run(*command: str, **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience(600), check=False, **options)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}{done.stderr}"
    return done.stdout


def layers(image: str) -> list[str]:
    return list(json.loads(run("docker", "inspect", image))[0]["RootFS"]["Layers"])


def saved(image: str, skip: list[str]) -> Iterator[tuple[str, bytes]]:
    """Each layer not in `skip`, as the tar that it is."""
    with tempfile.NamedTemporaryFile() as file:
        run("docker", "save", "-o", file.name, image)
        with tarfile.open(file.name) as archive:
            manifest = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
            for digest, path in zip(layers(image), manifest["Layers"], strict=True):
                if digest not in skip:
                    yield digest, archive.extractfile(path).read()  # type: ignore[union-attr]


def sizes(image: str, skip: list[str]) -> dict[str, tuple[int, int]]:
    """Of each layer not in `skip`: its bytes, and its bytes compressed as a registry stores them."""
    return {digest: (len(data), len(gzip.compress(data, 6))) for digest, data in saved(image, skip)}


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    root = copy_checkout()
    for name in PLACES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{MARKER}\n")
    built = Image(root)
    yield built
    run("docker", "image", "rm", "--force", built.name)


def test_the_image_keeps_its_budget(image: Image) -> None:
    ours = sizes(image.name, skip=layers(BASE))

    raw, compressed = (sum(pair[index] for pair in ours.values()) for index in (0, 1))
    print(f"{raw / MB:.1f} MB above the base, {compressed / MB:.1f} MB compressed, in {len(ours)} layers")
    assert raw < 120 * MB
    assert compressed < 40 * MB


def test_a_changed_line_rewrites_less_than_a_megabyte(image: Image) -> None:
    """How long that takes is a figure of `make bench TARGET=compose`."""
    before = layers(image.name)
    file = image.root / "app" / "demo" / "tasks.py"
    file.write_text(file.read_text() + f"\n# a change: {uuid.uuid4()}\n")
    image.build()

    rewritten = {digest: size for digest, (size, _) in sizes(image.name, skip=before).items()}
    assert rewritten, "the changed line is not in the image"
    assert sum(rewritten.values()) < 1 * MB, rewritten


def test_the_image_runs_as_a_user_without_rights_over_its_own_code(image: Image) -> None:
    assert image.sh("id -u; id -g").split() == ["10001", "10001"]
    ours = "'(' -user 10001 -o -group 10001 -o -perm -o=w ! -type l ')'"
    assert image.sh(f"find /srv /venv -path /srv/media -prune -o {ours} -print | head") == ""
    # The volume of uploads takes its owner from it.
    assert image.sh("stat -c %u:%g:%a /srv/media").strip() == "10001:10001:755"


def test_nothing_that_builds_or_installs_is_in_the_image(image: Image) -> None:
    tools = ("pip", "pip3", "uv", "gcc", "cc", "make", "ld")
    assert image.sh(f"for tool in {' '.join(tools)}; do command -v $tool; done; true") == ""
    assert (
        image.sh("python -c 'import pip' 2>/dev/null && echo found; python -c 'import ensurepip' 2>/dev/null; true")
        == ""
    )


def test_all_bytecode_is_compiled(image: Image) -> None:
    missing = image.sh(
        "cd /srv/app && find . -name '*.py' | while read f; do d=$(dirname $f); b=$(basename $f .py);"
        " ls $d/__pycache__/$b.cpython-*.pyc >/dev/null 2>&1 || echo $f; done"
    )
    assert missing == ""
    # The library's, too, of which a container can write none.
    code = (
        "import sys, os, celery, django, flower, gunicorn, redbeat; from importlib.util import cache_from_source; "
        "files = [file for m in sys.modules.values() if (file := getattr(m, '__file__', None) or '').endswith('.py')]; "
        "print(*[file for file in files if not os.path.exists(cache_from_source(file))])"
    )
    assert image.sh(f'cd /srv/app && python -c "{code}"').strip() == ""


def test_every_static_file_of_every_installed_app_is_collected(image: Image) -> None:
    collected = set(image.sh("cd /srv/static && find . -type f -printf '%P\\n'").split())
    code = (
        "from django.contrib.staticfiles.finders import get_finders\n"
        "print(*[name for finder in get_finders() for name, storage in finder.list([])])"
    )
    environment = "SECRET_KEY=x REDIS_PASSWORD=x SERVICE_ROLE=migrate"
    there = image.sh(f"{environment} python app/manage.py shell --no-imports -c '{code}'").split()
    assert set(there) == collected
    # A map, because a storage that hashes names refuses a file that refers to one that is gone.
    assert {"ninja/swagger-ui-bundle.js", "ninja/swagger-ui-bundle.js.map", "stack/app.js"} <= collected


def test_no_file_outside_the_app_and_no_secret_is_in_a_layer(image: Image) -> None:
    assert image.sh("ls -A /srv").split() == ["app", "media", "static"]
    layers_of_it = list(saved(image.name, skip=[]))
    assert len(layers_of_it) >= 5
    assert not [digest for digest, data in layers_of_it if MARKER.encode() in data], "a secret is in a layer"
    assert "REDIS_PASSWORD" not in run("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image.name)


def test_the_labels_say_what_it_is(image: Image) -> None:
    arguments = ("--build-arg", "VERSION=1.2.3", "--build-arg", "REVISION=abc", "--build-arg", "SOURCE=here")
    run("docker", "build", "-q", "-f", "docker/Dockerfile", "-t", image.name, *arguments, ".", cwd=image.root)
    labels = json.loads(run("docker", "inspect", image.name))[0]["Config"]["Labels"]
    wanted = {"version": "1.2.3", "revision": "abc", "source": "here"}
    assert {name: labels[f"org.opencontainers.image.{name}"] for name in wanted} == wanted
    assert image.sh("echo $GIT_COMMIT").strip() == "abc"


def test_a_role_without_its_secrets_says_which_and_stops(image: Image) -> None:
    done = subprocess.run(
        ["docker", "run", "--rm", image.name, "web"], capture_output=True, text=True, timeout=patience(60), check=False
    )
    assert done.returncode == 1
    assert "SECRET_KEY_FILE" in done.stderr
    assert "Traceback" not in done.stderr
