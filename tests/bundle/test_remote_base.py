"""An overlay in a repository of its own, which names base and components of this one by address and version."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.bundle.matches import matches
from tests.bundle.rendering import K8S, command, objects_of

COMPONENTS = ("namespace", "postgres", "network-policies")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The address of a repository that holds k8s/ as it is here, and the commit."""
    folder = tmp_path_factory.mktemp("remote") / "stack"
    shutil.copytree(K8S, folder / "k8s")
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    for arguments in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message", "k8s"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=folder, text=True).strip()
    return f"file://{folder}", commit


def remote(folder: Path, overlay: dict[str, object]) -> list[dict[str, object]]:
    """What kustomize makes of an overlay that is alone in its folder."""
    (folder / "kustomization.yaml").write_text(json.dumps(overlay))
    done = subprocess.run([*command(), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def test_base_and_components_may_be_remote(repository: tuple[str, str], tmp_path: Path) -> None:
    address, commit = repository
    own = {"namespace": "team-a", "images": [{"name": "django-celery-stack", "newName": "shop", "newTag": "7"}]}
    there = own | {"resources": [f"{address}//k8s/base?ref={commit}"]}
    there["components"] = [f"{address}//k8s/components/{name}?ref={commit}" for name in COMPONENTS]
    here = own | {"resources": ["../../base"], "components": [f"../../components/{name}" for name in COMPONENTS]}
    objects = remote(tmp_path, there)
    assert objects == objects_of(json.dumps(here))
    assert "shop:7" in str(objects)


def test_the_whole_stack_may_be_remote(repository: tuple[str, str], tmp_path: Path) -> None:
    address, commit = repository
    assert remote(tmp_path, {"resources": [f"{address}//k8s?ref={commit}"]}) == objects_of("resources: [../..]\n")


def test_the_readme_shows_an_overlay_with_a_remote_base() -> None:
    lines = matches(r"https://[^\s\]]+//(k8s[^\s?]*)\?ref=", (K8S / "overlays.md").read_text(), least=3)
    assert [path for path in lines if not (K8S.parent / path / "kustomization.yaml").is_file()] == []
