"""The overlay that docs/bring-your-project.md shows is one that works, and says what the page says."""

import re
from typing import Any

from tests.bundle.matches import matches
from tests.bundle.rendering import K8S, PROJECT, objects_of, pod_of

PAGE = (PROJECT / "docs/bring-your-project.md").read_text()
(OVERLAY,) = re.findall(r"```yaml\n(# kustomization.yaml\n.*?)```", PAGE, re.DOTALL)
IMAGE = "registry.example.com/shop:1"


def found(kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in objects_of(OVERLAY) if item["kind"] == kind}


def test_everything_is_in_the_projects_namespace() -> None:
    spaces = {item["metadata"].get("namespace") for item in objects_of(OVERLAY) if item["kind"] != "Namespace"}
    assert (spaces, list(found("Namespace"))) == ({"shop"}, ["shop"])


def test_every_role_runs_the_image_that_the_page_builds_and_pushes() -> None:
    assert f"-t {IMAGE} ." in PAGE
    assert f"docker push {IMAGE}\n" in PAGE
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
    (base,) = matches(r"^ALLOWED_HOSTS=(.*)$", (K8S / "base/app.env").read_text(), least=1)
    assert app["ALLOWED_HOSTS"].split(",") == ["shop.example.com", *base.split(",")]
    assert (app["WORKER_QUEUES"], own["WORKER_QUEUES"]) == ("-mail", "mail")
