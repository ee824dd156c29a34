"""`make image`: what it builds, labels, pushes and says, against a real registry."""

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.compose.registry import USER, Registry, registry
from tests.e2e.client import Client
from tests.e2e.compose import DOCKER, Compose
from tests.e2e.supervisor import CHECKOUT, commit, copy_checkout
from tests.e2e.targets import ended

SBOM = CHECKOUT / ".venv-scan/bin/python"


class Team:
    """Somebody with a clone of the repository, a login at the registry and nothing else: no .venv."""

    def __init__(self, place: Registry, config: Path):
        self.place, self.root, self.tag = place, copy_checkout(), f"t{uuid.uuid4().hex[:8]}"
        (self.root / ".venv").unlink()
        self.commit = commit(self.root, "clean")
        self.env = {name: os.environ[name] for name in ("PATH", "HOME", *DOCKER) if name in os.environ}
        self.env["DOCKER_CONFIG"] = str(config)
        self.docker("login", "-u", USER[0], "-p", USER[1], place.address)

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return ended(command, self.root, self.env | env, 600)

    def image(self, *variables: str, tag: str = "", **env: str) -> str:
        """What `make image` says; an AssertionError where it fails."""
        tag = tag or self.tag
        done = self.run("make", "image", f"TAG={tag}", f"REGISTRY={self.place.address}/team", *variables, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def docker(self, *words: str, **env: str) -> str:
        done = self.run("docker", *words, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def labels(self, name: str) -> dict[str, str]:
        found = json.loads(self.docker("image", "inspect", name))[0]["Config"]["Labels"]
        return {key.removeprefix("org.opencontainers.image."): value for key, value in found.items()}

    def forget(self) -> None:
        """Take away what this engine has of these tags."""
        listed = self.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
        for name in re.findall(rf"^\S+:{self.tag}\S*$", listed, re.MULTILINE):
            self.docker("image", "rm", "--force", name)
        place = ("--filter", f"reference={self.place.address}/*/*", "--format", "{{.Repository}}@{{.Digest}}")
        for name in self.docker("image", "ls", "--digests", *place).split():
            self.docker("image", "rm", "--force", name)

    def remove(self) -> None:
        """Take away the rest, too: what lost its name while a container ran it, and the checkout."""
        self.forget()
        for version in (self.tag, f"{self.tag}a", f"{self.tag}b"):
            label = f"label=org.opencontainers.image.version={version}"
            self.docker("image", "prune", "--force", "--filter", label)
        shutil.rmtree(self.root)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def team(place: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    found = Team(place, tmp_path_factory.mktemp("docker"))
    yield found
    found.remove()


def test_one_command_pushes_the_image_and_says_what_the_overlay_needs(team: Team) -> None:
    said = team.image()
    _, lines = said.split("In the kustomization.yaml of your overlay:\n")
    lines, hint = lines.split("Leave `transformers")
    assert hint.startswith(": [../../version]` out of it"), "the registry's name has a port"
    (image,) = yaml.safe_load(lines)["images"]
    assert image.pop("name") == "django-celery-stack"
    assert image == {"newName": f"{team.place.address}/team/django-celery-stack", "newTag": team.tag}
    assert team.place.repositories() == ["team/django-celery-stack"], "Kubernetes needs no proxy"

    team.forget()
    (digest,) = re.findall(r"^pushed .*\((sha256:\w+)\)", said, re.MULTILINE)
    for name in (f"{image['newName']}:{team.tag}", f"{image['newName']}@{digest}"):
        team.docker("pull", "--quiet", name)
        labels = team.labels(name)
        assert labels["title"] == "django-celery-stack"
        assert labels["version"] == team.tag
        assert labels["revision"] == team.commit


@pytest.mark.slow
def test_the_next_push_sends_what_is_new_and_a_tag_keeps_its_image(team: Team) -> None:
    team.image()
    before = team.place.size()
    assert "another image" not in team.image(), "the same files make the same image"
    assert team.place.size() == before

    (team.root / "app" / "fresh.py").write_text("fresh = True\n")
    said = team.image()
    assert f"commit {team.commit}-dirty)" in said
    assert "This tag had another image" in said, "a node that has the old one keeps it"
    assert team.place.size() - before < 5_000_000, "the packages were sent again"


@pytest.mark.slow
def test_compose_gets_the_proxy_too_and_the_lines_of_its_env(team: Team) -> None:
    said = team.image("TARGET=compose")
    _, lines = said.split("In .env of each host:\n")
    app = f"{team.place.address}/team/django-celery-stack"
    assert set(team.place.repositories()) == {"team/django-celery-stack", "team/django-celery-stack-proxy"}
    assert lines == f"IMAGE={app}\nTAG={team.tag}\nPULL_POLICY=missing\n"
    assert team.labels(f"django-celery-stack-proxy:{team.tag}")["version"] == team.tag

    (team.root / ".env").write_text(lines)
    try:
        team.docker("compose", "pull", "--quiet", "web", "proxy")
        assert team.labels(f"{app}:{team.tag}")["version"] == team.tag
        assert team.labels(f"{app}-proxy:{team.tag}")["version"] == team.tag
        # The names that `.env` has now are those of the registry already.
        assert f"pushed  {app}:{team.tag}  (" in team.image("TARGET=compose")
    finally:
        (team.root / ".env").unlink()


@pytest.mark.slow
def test_without_a_registry_it_builds_and_says_that_nothing_was_pushed(team: Team) -> None:
    team.forget()
    done = team.run("make", "image", f"TAG={team.tag}")
    assert done.returncode == 0, done.stderr
    assert "nothing was pushed: REGISTRY=" in done.stdout
    assert team.labels(f"django-celery-stack:{team.tag}")["version"] == team.tag
    assert not team.docker("image", "ls", "--quiet", f"django-celery-stack-proxy:{team.tag}"), "nobody asked for it"


@pytest.mark.slow
@pytest.mark.skipif(not SBOM.exists(), reason="its tools are not installed: make .venv-scan/.installed")
def test_the_bill_leaves_out_the_proxy_that_is_not_built(team: Team) -> None:
    team.forget()
    team.image()
    done = team.run(str(SBOM), "deploy/sbom.py", TAG=team.tag)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (team.root / "dist/sbom").iterdir()] == ["django-celery-stack.cdx.json"]
    assert f"no bill of django-celery-stack-proxy:{team.tag}, which is not built" in done.stdout


@pytest.mark.slow
def test_docker_s_own_build_labels_by_the_tag_too(team: Team) -> None:
    team.docker("compose", "build", "--quiet", TAG=team.tag)
    for name in ("django-celery-stack", "django-celery-stack-proxy"):
        assert team.labels(f"{name}:{team.tag}")["version"] == team.tag


@pytest.mark.slow
def test_what_stands_in_the_way_is_named_with_the_fix(team: Team, tmp_path: Path) -> None:
    host, build = team.place.address, ("make", "image", f"TAG={team.tag}")
    done = team.run(*build, f"REGISTRY={host}/team", DOCKER_CONFIG=str(tmp_path))
    assert done.returncode != 0
    assert (
        "is built and was not pushed: log in with an account that may write there: docker login " + host in done.stderr
    )
    done = team.run(*build, "REGISTRY=127.0.0.1:1/team")
    assert "127.0.0.1:1 does not answer: is REGISTRY right?" in done.stderr

    done = team.run(*build, DOCKER_HOST="tcp://127.0.0.1:1")
    assert "make image needs a Docker engine: install Docker, or start it (" in done.stderr
    done = team.run(*build, "PLATFORM=linux/sparc")
    assert "the build failed, and the lines above say why; nothing was pushed" in done.stderr


@pytest.mark.slow
def test_a_host_runs_and_renews_what_the_registry_has(team: Team) -> None:
    """The host has a checkout too, of which it builds nothing."""
    host = Compose()
    host.env["DOCKER_CONFIG"] = team.env["DOCKER_CONFIG"]
    del host.env["TAG"]
    (host.root / "app/demo/views.py").write_text("a build of this would not start\n")

    def version() -> str:
        return str(Client(host.base_url).get("/version").json()["commit"])

    def release(tag: str) -> str:
        """Push it, forget it here, and name it in the host's `.env`; the commit."""
        found = commit(team.root, tag)
        (host.root / ".env").write_text(team.image("TARGET=compose", tag=tag).split("each host:\n")[1])
        team.forget()
        return found

    try:
        first = release(f"{team.tag}a")
        host.compose("up", "-d", "--wait")
        assert version() == first
        (host.root / ".env").write_text((host.root / ".env").read_text().replace(f"{team.tag}a", f"{team.tag}never"))
        done = host.run("make", "deploy", "TARGET=compose", "PULL=1")
        assert done.returncode != 0
        assert f"{team.tag}never" in done.stderr
        assert "\nNothing was changed." in done.stderr
        assert f"{team.tag}never" not in team.docker("image", "ls")

        second = release(f"{team.tag}b")
        done = host.run("make", "deploy", "TARGET=compose", "PULL=1")
        assert done.returncode == 0, done.stdout + done.stderr
        assert version() == second
        done = host.run("make", "deploy", "TARGET=compose", "ROLLBACK=1")
        assert done.returncode == 0, done.stdout + done.stderr
        assert version() == first
    finally:
        host.remove()
