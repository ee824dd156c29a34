"""`make sbom`: the bill of materials of each image says what is in it."""

import json
import subprocess
from urllib.parse import unquote

import pytest

from tests.bundle.matches import matches
from tests.e2e.compose import Compose
from tests.e2e.supervisor import CHECKOUT

TOOLS = CHECKOUT / ".venv-scan"
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) or "") or None)
"""

pytestmark = pytest.mark.skipif(
    not (TOOLS / ".installed").exists(), reason="its tools are not installed: make .venv-scan/.installed"
)


def test_the_bill_of_each_image_is_valid_and_says_what_is_in_it(stack: Compose) -> None:
    done = stack.run(str(TOOLS / "bin/python"), "deploy/sbom.py")
    assert done.returncode == 0, done.stderr
    files = {file.name: file.read_text() for file in (stack.root / "dist/sbom").iterdir()}
    assert set(files) == {"django-celery-stack.cdx.json", "django-celery-stack-proxy.cdx.json"}
    for text in files.values():
        subprocess.run([TOOLS / "bin/python", "-c", VALIDATE], input=text, text=True, check=True)
    bills = {name: json.loads(text) for name, text in files.items()}
    listed = {name: {part["purl"] for part in bill["components"] if "purl" in part} for name, bill in bills.items()}
    app, proxy = listed["django-celery-stack.cdx.json"], listed["django-celery-stack-proxy.cdx.json"]

    locked = {f"pkg:pypi/{name}@{version}" for name, version in lock()}
    python = {purl for purl in app if purl.startswith("pkg:pypi/")}
    assert python <= locked
    assert len(locked - python) <= 2, "what only Windows and an old Python install"
    assert f"pkg:generic/python@{stack.exec('web', 'python', '--version').split()[1]}" in app
    for role, purls, package in (("web", app, "libssl3t64"), ("proxy", proxy, "haproxy"), ("proxy", proxy, "libc6")):
        show = ("dpkg-query", "--show", "--showformat", "${Version}", package)
        listed_as = f"pkg:deb/debian/{package}@{stack.exec(role, *show)}?"
        assert [purl for purl in purls if unquote(purl).startswith(listed_as)], listed_as
    assert bills["django-celery-stack.cdx.json"]["metadata"]["component"]["version"] == stack.project


def lock() -> list[tuple[str, str]]:
    return matches(r"^([a-z0-9-]+)(?:\[.*\])?==([^\s;]+)", (CHECKOUT / "requirements/base.txt").read_text(), least=30)


def test_without_an_engine_or_an_image_the_bill_says_what_to_do(stack: Compose) -> None:
    command = (str(TOOLS / "bin/python"), "deploy/sbom.py")
    done = stack.run(*command, DOCKER_HOST="tcp://127.0.0.1:1")
    assert done.returncode != 0
    assert done.stderr.startswith("make sbom looks into the images: install Docker, or start it (")
    done = stack.run(*command, TAG="never-built")
    assert "the image django-celery-stack:never-built is not built: make image, then make sbom" in done.stderr
