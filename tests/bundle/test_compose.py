"""The files of the compose runtime agree with each other, with the product and with the documentation."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from stack import __version__
from stack.runtime.env import VARS
from tests.bundle.matches import matches
from tests.e2e.supervisor import CHECKOUT

COMPOSE = (CHECKOUT / "compose.yaml").read_text()
DOC = (CHECKOUT / "deploy" / "compose.md").read_text()


def test_every_variable_of_compose_is_the_product_s_or_documented() -> None:
    used = set(matches(r"\$\{(\w+)", COMPOSE, least=10))
    documented = set(matches(r"`([A-Z_]+)`", "".join(matches(r"^\|.*", DOC, least=5)), least=5))

    secrets = {f"{name}_FILE" for name, var in VARS.items() if var.kind == "secret"}
    assert not used - set(VARS) - secrets - documented
    assert not documented - used - set(VARS), "documented, and read by nothing"


def test_every_default_is_the_product_s() -> None:
    published = {"WEB_BIND", "FLOWER_BIND", "STOP_GRACE"}
    defaults = [pair for pair in matches(r"\$\{(\w+):-([^}]*)\}", COMPOSE, least=10) if pair[0] in published]
    assert {name for name, _ in defaults} == published
    for name, default in defaults:
        assert default == VARS[name].default, name


def test_no_base_image_names_a_registry_and_each_has_a_tag() -> None:
    dockerfile = (CHECKOUT / "docker" / "Dockerfile").read_text()
    stages = set(matches(r" AS (\w+)", dockerfile, least=3))
    dockerfile = dockerfile.replace("${PYTHON_VERSION}", *matches(r"^ARG PYTHON_VERSION=(\S+)", dockerfile, least=1))
    bases = set(matches(r"^FROM (\S+)", dockerfile, least=3)) - stages
    assert bases, "every stage would be one of another stage"
    for image in bases | set(matches(r"image: ([a-z]\S+)", COMPOSE, least=2)):
        assert re.fullmatch(r"[a-z]+:[\w.-]+", image), image
    assert "# syntax" not in dockerfile


def test_one_variable_has_one_default_and_the_tag_is_the_version() -> None:
    defaults: dict[str, set[str]] = {}
    for name, default in matches(r"\$\{(\w+):-([^}]*)\}", COMPOSE, least=10):
        defaults.setdefault(name, set()).add(default)

    assert {name: values for name, values in defaults.items() if len(values) > 1} == {}
    assert defaults["TAG"] == {__version__}


def mebibytes(text: str) -> int:
    number, unit = re.fullmatch(r"(?:\$\{\w+:-)?(\d+)(\w+)\}?", text).groups()  # type: ignore[union-attr]
    return int(number) * {"m": 1, "mb": 1, "Mi": 1, "g": 1024, "gb": 1024, "Gi": 1024}[unit]


def test_redis_may_store_at_most_half_of_what_its_container_may_take() -> None:
    """The rest is for the copy of the process that rewrites the log of writes."""
    text = (CHECKOUT / "k8s/base/redis.conf").read_text()
    (conf,) = re.findall(r"^maxmemory (\S+)", text, re.MULTILINE)
    service = yaml.safe_load(COMPOSE)["services"]["redis"]
    stateful = next(yaml.safe_load_all((CHECKOUT / "k8s/base/redis.yaml").read_text()))
    (container,) = stateful["spec"]["template"]["spec"]["containers"]

    given = service["command"][service["command"].index("--maxmemory") + 1]
    assert 2 * mebibytes(given) <= mebibytes(service["mem_limit"])
    assert "--maxmemory" not in container["args"]
    assert 2 * mebibytes(conf) <= mebibytes(container["resources"]["limits"]["memory"])


@pytest.mark.parametrize(
    ("origin", "label"),
    [
        ("https://somebody:p@ss:word@example.org/shop.git", "https://example.org/shop.git"),
        ("https://example.org/shop@home.git", "https://example.org/shop@home.git"),
        ("git@example.org:shop.git", "git@example.org:shop.git"),
    ],
)
def test_the_label_of_the_source_holds_no_password(tmp_path: Path, origin: str, label: str) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "remote", "add", "origin", origin], cwd=tmp_path, check=True)
    make = ["make", "-s", "-f", CHECKOUT / "docker" / "compose.mk", "--eval", "show: ; @echo $(SOURCE)", "show"]

    assert subprocess.check_output(make, cwd=tmp_path, text=True).strip() == label
