"""What deploy/cluster.py takes away and restarts is what is rendered; what a new version changes, and nothing else."""

import json
import re
import runpy
import sys
from typing import Any

import pytest
import yaml

from tests.bundle.rendering import ALL, K8S, ONE_MORE, PROJECT, objects_of, pod_of, render

sys.path.append(str(PROJECT / "deploy"))  # it imports its neighbours
DOWN = runpy.run_path(str(PROJECT / "deploy" / "cluster_down.py"))
KEPT = {"Namespace", "ServiceAccount", "Role", "RoleBinding", "PersistentVolumeClaim"}
KEPT |= {"SealedSecret", "ExternalSecret"}  # the Secret would go with them
POSTGRES = {"resources": ["../../base"], "components": ["../../components/postgres"]}


def images(objects: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The images of each workload."""
    return {
        item["metadata"]["name"]: [
            container["image"] for container in [*pod_of(item)["containers"], *pod_of(item).get("initContainers", ())]
        ]
        for item in objects
        if "template" in item.get("spec", {})
    }


def test_down_takes_away_all_but_the_secret_the_volumes_and_the_namespace() -> None:
    rendered = {kind for name in ALL for kind, _ in render(name)} - KEPT
    taken = {*DOWN["SCALERS"], *DOWN["WORKLOADS"], *DOWN["REST"]}
    assert taken - {"cronjob"} == {kind.lower() for kind in rendered}  # a project may have those
    # Workers before the Redis to which they hand their tasks back.
    assert "deployment" in DOWN["WORKLOADS"]
    assert "statefulset" in DOWN["REST"]


@pytest.mark.parametrize("combination", ALL)
def test_down_finds_all_of_it_by_its_label(combination: str) -> None:
    for (kind, name), item in render(combination).items():
        if kind not in KEPT:
            label = item["metadata"]["labels"]["app.kubernetes.io/part-of"]
            assert label == "django-celery-stack", f"{kind} {name}"


def test_redis_and_postgresql_are_the_same_images_in_compose() -> None:
    services = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
    ours = images(list(render("quickstart").values()))
    assert {services["redis"]["image"]} == set(ours["redis"])
    assert {services["db"]["image"]} == set(ours["db"])


def test_a_new_tag_changes_each_image_of_ours_and_leaves_the_job_as_it_is() -> None:
    """A Job cannot be changed once it was applied: one that changed with the tag would end every `apply`."""
    own = {
        "resources": [*POSTGRES["resources"], "emails"],
        "components": [*POSTGRES["components"], "../../components/queue"],
    }
    before, after = (
        objects_of(f"# kustomization.yaml\n{json.dumps(own | tag)}\n{ONE_MORE}")
        for tag in ({}, {"images": [{"name": "django-celery-stack", "newTag": "9.9.9"}]})
    )
    jobs = [[item for item in objects if item["kind"] in ("Job", "ConfigMap")] for objects in (before, after)]
    assert jobs[0] == jobs[1]
    for name, names in images(before).items():
        for old, new in zip(names, images(after)[name], strict=True):
            assert new == ("django-celery-stack:9.9.9" if old.startswith("django-celery-stack:") else old), name
    ours = [image for names in images(after).values() for image in names if image.startswith("django-celery-stack")]
    assert len(ours) == 10  # four roles, one more worker, and an init container each


def test_a_changed_configuration_rolls_the_pods_that_read_it_and_no_others() -> None:
    operation = [{"op": "add", "path": "/data/WORKER_CONCURRENCY", "value": "7"}]
    patch = {"patches": [{"target": {"kind": "ConfigMap", "name": "app"}, "patch": json.dumps(operation)}]}
    before, after = (
        {
            item["metadata"]["name"]: item["spec"]["template"]
            for item in objects_of(text)
            if "template" in item.get("spec", {})
        }
        for text in (json.dumps(POSTGRES), json.dumps(POSTGRES | patch))
    )
    assert {name for name in before if before[name] != after[name]} == {"web", "worker", "beat", "flower"}
    for item in objects_of(json.dumps(POSTGRES)):
        if item["kind"] == "ConfigMap":
            name = item["metadata"]["name"]
            assert re.search(r"-[a-z0-9]{10}$", name) or name in ("make-secrets", "secret-keys")


def test_the_image_and_the_namespace_stand_once() -> None:
    texts = {path: re.sub(r"^ *#.*$", "", path.read_text(), flags=re.MULTILINE) for path in K8S.rglob("*.yaml")}
    base, dev, example = (K8S / name / "kustomization.yaml" for name in ("base", "overlays/dev", "overlays/example"))
    assert [path for path, text in texts.items() if "newTag:" in text] == [base]
    named = {path: re.findall(r"^\s*namespace: (\S+)$", text, re.MULTILINE) for path, text in texts.items()}
    assert {path: found for path, found in named.items() if found} == {
        base: ["django-celery-stack"],
        dev: ["django-celery-stack-dev"],  # beside the real one
        example: ["django-celery-stack"],  # to be changed
        # Applied once, by hand: where the tool itself is, and for Argo CD where it applies to.
        K8S / "components/argocd/application.yaml": ["argocd", "django-celery-stack"],
        K8S / "components/flux/sync.yaml": ["flux-system", "flux-system"],
    }
