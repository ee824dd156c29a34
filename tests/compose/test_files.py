"""The files as compose reads them; what needs no Docker is in tests/bundle."""

import json
import shutil
import subprocess

import pytest

from tests.e2e.supervisor import CHECKOUT, copy_checkout
from tests.machine import patience


def compose(*arguments: str) -> str:
    done = subprocess.run(
        ["docker", "compose", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    "files", [("compose.yaml",), ("compose.yaml", "compose.dev.yaml"), ("compose.yaml", "compose.external.yaml")]
)
def test_compose_reads_the_files_without_a_word(files: tuple[str, ...]) -> None:
    compose(*[word for file in files for word in ("-f", file)], "config", "--quiet")


def test_every_service_is_checked_and_every_one_shot_is_waited_for() -> None:
    services = json.loads(compose("config", "--format", "json"))["services"]
    waited = {name for service in services.values() for name in service.get("depends_on", {})}
    for name, service in services.items():
        # With an end to it, or `up --wait` would wait for one that fails each time.
        one_shot = service["restart"] == "on-failure:3"
        assert one_shot or service["restart"] == "unless-stopped", name
        assert ("healthcheck" in service) != one_shot, name
        assert one_shot or service["healthcheck"]["start_interval"] == "500ms", name
        assert not one_shot or name in waited, name
        assert "container_name" not in service
        assert service.get("stop_grace_period", "1m0s") == "1m0s"
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["depends_on"]["db"]["condition"] == "service_healthy"


def test_nothing_is_loaded_unasked() -> None:
    """In a folder of the same files: the one of this test run has variables of its own."""
    root = copy_checkout()
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"], cwd=root, capture_output=True, text=True, check=True
    )
    shutil.rmtree(root)
    services = json.loads(done.stdout)["services"]
    plain = json.loads(compose("-f", "compose.yaml", "config", "--format", "json"))["services"]
    assert {name: set(service["environment"]) for name, service in services.items() if "environment" in service} == {
        name: set(service["environment"]) for name, service in plain.items() if "environment" in service
    }
    assert "DEBUG" not in services["web"]["environment"]
    dev = json.loads(compose("-f", "compose.yaml", "-f", "compose.dev.yaml", "config", "--format", "json"))["services"]
    assert {dev[name]["environment"]["DEBUG"] for name in ("web", "worker", "beat")} == {"true"}
    assert set(services["beat"]["networks"]) == {"broker", "database"}


def test_a_first_start_builds_and_asks_no_registry_for_our_own_images() -> None:
    services = json.loads(compose("-f", "compose.yaml", "config", "--format", "json"))["services"]
    ours = {name for name, service in services.items() if "django-celery-stack" in service["image"]}
    assert ours == {"proxy", "web", "worker", "beat", "flower", "secrets", "migrate"}
    assert {services[name].get("pull_policy") for name in ours} == {"never"}


def test_with_a_redis_elsewhere_every_role_has_a_way_out() -> None:
    files = ("-f", "compose.yaml", "-f", "compose.external.yaml")
    config = json.loads(compose(*files, "config", "--format", "json"))
    inner = {name for name, network in config["networks"].items() if network.get("internal")}
    assert inner == {"broker", "database"}
    for role in ("web", "worker", "beat", "flower", "migrate"):
        assert set(config["services"][role]["networks"]) - inner, f"{role} reaches nothing outside"
