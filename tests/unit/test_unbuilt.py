"""A package that cannot be built: what to install is said, and nothing of the stack's ranges."""

import sys
from pathlib import Path

import pytest

from tests.unit.test_requirements import installed, python, shop  # noqa: F401 (fixtures)

sys.path.insert(0, str(Path(__file__).parents[2] / "docker"))
from unbuilt import unbuilt

# A back end of its own: nothing of an index is needed to fail.
BACKEND = """
import sys
def get_requires_for_build_wheel(config_settings=None):
    return []
def build_wheel(folder, config_settings=None, metadata_directory=None):
    sys.exit("till.c:1:10: fatal error: libpq-fe.h: No such file or directory")
"""
TILL = """
[build-system]
requires = []
build-backend = "own"
backend-path = ["."]
[project]
name = "till"
version = "1"
"""


@pytest.mark.parametrize("prepares", [False, True], ids=["the wheel", "its metadata"])
def test_a_package_that_cannot_be_built_says_what_to_install(python: Path, shop: Path, prepares: bool) -> None:  # noqa: F811
    (shop / "till").mkdir()
    (shop / "till/pyproject.toml").write_text(TILL)
    hook = "def prepare_metadata_for_build_wheel(folder, config_settings=None):\n"
    if prepares:
        hook += "    build_wheel(folder)\n"
    else:
        hook += (
            "    import os\n    os.mkdir(folder + '/till-1.dist-info')\n"
            "    with open(folder + '/till-1.dist-info/METADATA', 'w') as file:\n"
            "        file.write('Metadata-Version: 2.1\\nName: till\\nVersion: 1\\n')\n    return 'till-1.dist-info'\n"
        )
    (shop / "till/own.py").write_text(BACKEND + hook)
    (shop / "requirements.txt").write_text("./till\n")

    done = installed(python, shop)

    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "could not be built, libpq-fe.h is not there. Debian, Ubuntu: sudo apt install libpq-dev;" in last
    assert "docker/apt.txt" in last
    assert "take the stack's" not in done.stderr
    assert prepares or "till could not be built" in last


def test_in_an_image_the_list_of_debian_packages_is_named() -> None:
    said = unbuilt("  x Failed to build `pycairo==1.2`\n  error: cairo.h: No such file or directory\n", image=True)
    assert said.startswith(
        "pycairo could not be built. Write build-essential libcairo2-dev pkg-config into docker/apt.txt"
    )
    assert "apt install" not in said
    # An unknown one.
    said = unbuilt("error: metadata-generation-failed", image=False)
    assert "sudo apt install build-essential and what its documentation names for Debian" in said


@pytest.mark.parametrize(
    "output", ["ERROR: No matching distribution found for till==9", "because you require celery<5.5 and celery>=5.7"]
)
def test_what_is_not_built_for_another_reason_is_none_of_it(output: str) -> None:
    assert unbuilt(output, image=False) == ""
