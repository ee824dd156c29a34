"""The overlay that docs/bring-your-project.md shows is one that works, and says what the page says."""

import re
from typing import Any

import yaml

from stack.runtime.env import environment
from tests.bundle.example import EXAMPLE, options, written
from tests.bundle.rendering import K8S, PROJECT, files_of, objects_of, pod_of

PAGE = (PROJECT / "docs/bring-your-project.md").read_text()
(OVERLAY,) = re.findall(r"```yaml\n(# kustomization.yaml\n.*?)```", PAGE, re.DOTALL)
IMAGE = "registry.example.com/shop:1"


def found(kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in objects_of(OVERLAY) if item["kind"] == kind}


def test_everything_is_in_the_projects_namespace() -> None:
    spaces = {item["metadata"].get("namespace") for item in objects_of(OVERLAY) if item["kind"] != "Namespace"}
    assert (spaces, list(found("Namespace"))) == ({"shop"}, ["shop"])


def test_every_role_runs_the_image_that_the_page_builds_and_pushes() -> None:
    assert "\nmake image TAG=1 REGISTRY=registry.example.com IMAGE=shop\n" in PAGE
    deployments = found("Deployment")
    assert sorted(deployments) == ["beat", "flower", "web", "worker", "worker-for-mail"]
    for name, item in deployments.items():
        pod = pod_of(item)
        assert {each["image"] for each in [*pod["containers"], *pod.get("initContainers", [])]} == {IMAGE}, name


def test_web_and_every_worker_share_a_volume_of_the_named_class() -> None:
    claim = found("PersistentVolumeClaim")["media"]["spec"]
    assert (claim["storageClassName"], claim["accessModes"]) == ("nfs", ["ReadWriteMany"])
    for name in ("web", "worker", "worker-for-mail"):
        mounts = pod_of(found("Deployment")[name])["containers"][0]["volumeMounts"]
        assert {"name": "media", "mountPath": "/srv/media"} in mounts, name


def test_its_hosts_and_its_queue_stand_beside_what_base_says() -> None:
    (app,) = [item["data"] for name, item in found("ConfigMap").items() if name.startswith("app-")]
    (own,) = [item["data"] for name, item in found("ConfigMap").items() if name.startswith("queue-")]
    base = environment(K8S / "base/app.env", {})["ALLOWED_HOSTS"]
    hosts = app["ALLOWED_HOSTS"].replace("$(WEB_SERVICE)", app["WEB_SERVICE"])
    assert hosts.split(",") == ["shop.example.com", *base.split(",")]
    assert (app["WORKER_QUEUES"], own["WORKER_QUEUES"]) == ("-mail", "mail")


def test_it_is_the_example_without_the_comments() -> None:
    """But for the variables, which are this project's."""
    files = files_of(OVERLAY)
    page = yaml.safe_load(files["kustomization.yaml"])
    named = {"mail", "queue", "media", "Your image", "Variables", "The StorageClass of the uploads"}
    chosen = [option for option in options() if option.name in named]
    assert len(chosen) == len(named)
    example = yaml.safe_load(written(*chosen).replace("django-celery-stack\n", "shop\n", 1))
    for key in ("namespace", "resources", "components", "transformers", "images"):
        assert page[key] == example[key], key
    assert page["patches"][1:] == example["patches"][1:]
    assert page["patches"][0]["target"] == example["patches"][0]["target"]

    own, mail = (
        yaml.safe_load(text)
        for text in (files["mail/kustomization.yaml"], (EXAMPLE / "mail/kustomization.yaml").read_text())
    )
    assert own == {key: value for key, value in mail.items() if key in own}
