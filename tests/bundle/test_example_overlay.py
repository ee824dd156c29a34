"""k8s/overlays/example is the quickstart, and each of its commented options does something and is valid by itself."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.bundle.example import EXAMPLE, TEXT, Option, options, written
from tests.bundle.rendering import K8S, PROJECT, objects_of, pod_of, render

# Of these no schema is in the package.
FOREIGN = {"ExternalSecret", "HTTPRoute", "ScaledObject", "TriggerAuthentication"}
OTHERS = sorted(path.name for path in (K8S / "overlays").iterdir())


def rendered(text: str) -> list[dict[str, Any]]:
    """The objects of the example with another text."""
    parts = {"kustomization.yaml": text}
    parts |= {str(path.relative_to(EXAMPLE)): path.read_text() for path in EXAMPLE.glob("*/kustomization.yaml")}
    return objects_of("".join(f"# {name}\n{part}" for name, part in parts.items()))


def test_as_it_stands_it_is_the_quickstart() -> None:
    assert rendered(TEXT) == list(render("quickstart").values())


@pytest.mark.parametrize("option", options(), ids=lambda option: option.name)
def test_each_option_alone_changes_something_that_is_valid(option: Option) -> None:
    alone = re.fullmatch(r"- \.\./\.\./components/(\S+) .*", option.prose)
    before = rendered(TEXT if alone else written(components=option.needs))
    after = rendered(written(option))

    changed = [item for item in after if item not in before]
    removed = [item for item in before if item not in after]
    # What gives the worker of mail/ its image is nothing without that, and the option `mail` has both.
    assert changed or removed or option.name == "queue"
    for item in changed:
        if item["kind"] not in FOREIGN:
            kubernetes_validate.validate(item, "1.37", strict=True)


def test_every_component_is_among_the_options() -> None:
    """But one that others bring along by themselves."""
    there = {path.parent.name: path.read_text() for path in (K8S / "components").glob("*/kustomization.yaml")}
    brought = {name for text in there.values() for name in re.findall(r"\.\./([a-z-]+)", text)}
    here = set(re.findall(r"- \.\./\.\./components/([a-z-]+)", TEXT))
    assert set(there) - brought <= here <= set(there)


def test_every_option_is_found_and_says_what_it_is_for() -> None:
    commented = {n for n, line in enumerate(TEXT.splitlines()) if re.match(r" *# +(- |[a-z]\w+: )", line)}
    assert commented <= {n for option in options() for n in option.lines}
    assert len(options()) >= 30
    names = [option.name for option in options()]
    assert len(set(names)) == len(names)


def test_what_is_for_every_pod_reaches_every_pod() -> None:
    named = {"mail", "Your image", "A mirror for the images that are not yours", "On which nodes"}
    named |= {"A label on everything", "An annotation on everything", "On nodes that refuse others"}
    named |= {"The Secret with which images are pulled", "Who goes first where a node is full"}
    chosen = [option for option in options() if option.name in named]
    assert len(chosen) == len(named)
    objects = rendered(written(*chosen, components=frozenset({"cache", "media", "project-secrets"})))
    found = [item for item in objects if "template" in item.get("spec", {})]
    assert len(found) == 9
    for item in found:
        pod, meta, name = pod_of(item), item["spec"]["template"]["metadata"], item["metadata"]["name"]
        images = {
            container["image"].partition("/")[0] for container in [*pod["containers"], *pod.get("initContainers", [])]
        }
        assert images == {"registry.example.com" if item["kind"] == "Deployment" else "mirror.example.com"}, name
        assert pod["imagePullSecrets"] == [{"name": "registry"}], name
        assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64"}, name
        assert pod["tolerations"][-1] == {"key": "example.com/pool", "value": "shop"}, name
        # Those of base are still there: a pod leaves a dead node after 30 s.
        assert len(pod["tolerations"]) == (3 if item["kind"] == "Deployment" else 1), name
        assert pod["priorityClassName"] == "shop", name
        assert meta["labels"]["example.com/team"] == "shop", name
        assert meta["annotations"]["example.com/cost-centre"] == "4711", name


@pytest.mark.parametrize("name", OTHERS)
def test_the_image_that_an_overlay_names_wins_over_each_of_ours(name: str) -> None:
    image = {"name": "django-celery-stack", "newName": "registry.example.com/shop", "newTag": "7"}
    objects = objects_of(json.dumps({"resources": [f"../{name}"], "images": [image]}))
    ours = {
        container["image"]
        for item in objects
        if item["kind"] == "Deployment"
        for container in [*pod_of(item)["containers"], *pod_of(item)["initContainers"]]
    }
    assert ours == {"registry.example.com/shop:7"}


def test_no_file_that_an_upgrade_replaces_asks_to_be_edited() -> None:
    for path in [
        *(K8S / "base").rglob("*"),
        *(K8S / "components").rglob("*"),
        *(K8S / "overlays/production").iterdir(),
    ]:
        if path.suffix in (".md", ".yaml", ".env", ".conf"):
            assert not re.search(r"\bedit\b", path.read_text(), re.IGNORECASE), path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make overlay` needs, and no .venv."""
    for name in ("Makefile", "pyproject.toml", "deploy", "docker", "k8s"):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, tmp_path / name)
    return tmp_path


def overlay(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "overlay", *words], cwd=checkout, capture_output=True, text=True, check=False)


def test_make_overlay_makes_one_that_renders_and_says_what_is_next(checkout: Path) -> None:
    done = overlay(checkout, "NAME=billing")
    assert done.returncode == 0, done.stderr
    (command,) = re.findall(r"^ +(kubectl kustomize \S+)", done.stdout, re.MULTILINE)
    assert "make up TARGET=k8s OVERLAY=k8s/overlays/billing" in done.stdout

    text = subprocess.run(command.split(), cwd=checkout, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  namespace: (\S+)$", text, re.MULTILINE)) == {"billing"}
    own = (checkout / "k8s/overlays/billing/kustomization.yaml").read_text()
    assert "shop" not in own
    assert own.replace("billing", "shop").replace("overlays/shop", "overlays/example") == TEXT.replace(
        "namespace: django-celery-stack\n", "namespace: shop\n"
    )


def test_make_overlay_takes_a_name_that_has_the_word_of_the_example_in_it(checkout: Path) -> None:
    assert overlay(checkout, "NAME=myshop").returncode == 0
    own = (checkout / "k8s/overlays/myshop/kustomization.yaml").read_text()
    assert set(re.findall(r"\w*shop\b", own)) == {"myshop"}
    assert "OVERLAY=k8s/overlays/myshop " in own
    assert "mymyshop" not in own


def test_make_overlay_leaves_a_folder_that_is_there_as_it_is(checkout: Path) -> None:
    assert overlay(checkout, "NAME=billing").returncode == 0
    mine = checkout / "k8s/overlays/billing/kustomization.yaml"
    mine.write_text("# mine\n")
    for name in ("billing", "production", "example"):
        done = overlay(checkout, f"NAME={name}")
        assert done.returncode != 0
        assert f"k8s/overlays/{name} is there already" in done.stderr
    assert mine.read_text() == "# mine\n"


@pytest.mark.parametrize("name", ["", "Shop", "1shop", "shop-", "../shop", "a/b", "a b", "x" * 54, '"; touch y; "'])
def test_make_overlay_refuses_a_name_that_no_namespace_can_have(checkout: Path, name: str) -> None:
    before = sorted(path.name for path in (checkout / "k8s/overlays").iterdir())
    done = overlay(checkout, f"NAME={name}")
    assert done.returncode != 0
    assert "cannot be the name of a namespace" in done.stderr
    assert "make overlay NAME=shop" in done.stderr
    assert sorted(path.name for path in (checkout / "k8s/overlays").iterdir()) == before
    assert not (checkout / "y").exists()
