"""From 0.1, whose claims stood in templates, to claims of their own, by the commands of k8s/overlays.md; with data."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.supervisor import CHECKOUT
from tests.k8s.overlays import Overlay

pytestmark = pytest.mark.slow

PART_OF = {"app.kubernetes.io/part-of": "django-celery-stack"}
LATER = ("managed-by", "instance", "component", "version")
USERS = ("web", "worker", "beat", "flower", "keda", "admin")
REDIS = 'REDISCLI_AUTH=$(cat /run/secrets/admin_redis_password) exec redis-cli --user admin "$@"'


def as_in_0_1(item: dict[str, Any]) -> dict[str, Any]:
    """An object as 0.1 had it: fewer labels, no account, and a claim with a label in the template."""
    templates = [item["spec"]["template"]] if "template" in item.get("spec", {}) else []
    for each in (item, *templates):
        for word in LATER:
            each["metadata"].get("labels", {}).pop(f"app.kubernetes.io/{word}", None)
    if item["kind"] in ("StatefulSet", "Deployment"):
        del item["spec"]["template"]["spec"]["serviceAccountName"], item["spec"]["revisionHistoryLimit"]
    if item["kind"] == "StatefulSet":
        volumes = item["spec"]["template"]["spec"]["volumes"]
        volumes[:] = [volume for volume in volumes if volume["name"] != "data"]
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
        item["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data", "labels": PART_OF}, "spec": claim}]
        item["spec"]["replicas"] = 1
    if item["kind"] == "Service":
        item["spec"]["selector"] = {"app.kubernetes.io/name": item["metadata"]["name"]}
    if item["kind"] == "Deployment" and item["metadata"]["name"] in ("beat", "flower"):
        item["spec"]["strategy"] = {"type": "Recreate"}
    return item


@pytest.fixture
def old() -> Iterator[Overlay]:
    """0.1 in a namespace: Redis and PostgreSQL run, the roles have no pod."""
    with Overlay() as overlay:
        overlay.write("postgres", "network-policies")
        items = [item for item in yaml.safe_load_all(overlay.kubectl("kustomize", str(overlay.folder))) if item]
        gone = ("PersistentVolumeClaim", "ServiceAccount")
        text = yaml.safe_dump_all(as_in_0_1(item) for item in items if item["kind"] not in gone)
        names = ("postgres", "database", *(f"{user}_redis" for user in USERS))
        values = [f"--from-literal={name}_password=of-this-test" for name in names]
        overlay.kubectl("create", "secret", "generic", "app-secrets", *values)
        overlay.kubectl("apply", "-f", "-", text=text)
        yield overlay


def redis(overlay: Overlay, *command: str) -> str:
    return overlay.kubectl("exec", "redis-0", "-c", "app", "--", "sh", "-c", REDIS, "redis-cli", *command).strip()


def database(overlay: Overlay, statement: str) -> str:
    command = ("psql", "-U", "postgres", "-d", "app", "-Atc", statement)
    return overlay.kubectl("exec", "db-0", "-c", "app", "--", *command).strip()


def wait_ready(overlay: Overlay) -> None:
    for name in ("redis", "db"):
        overlay.kubectl("rollout", "status", f"statefulset/{name}", "--timeout=150s")


def commands() -> list[list[str]]:
    """What the README says between 0.1 and the next `apply`."""
    section = (CHECKOUT / "k8s" / "overlays.md").read_text().partition("## From 0.1\n")[2]
    (block,) = re.findall(r"```\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [line[3:] for line in lines if line[:3] == ["kubectl", "-n", "django-celery-stack"]]


@pytest.mark.timeout(600)
def test_what_was_queued_and_what_was_stored_is_there_after_the_step(old: Overlay) -> None:
    wait_ready(old)
    redis(old, "RPUSH", "celery", "a task of 0.1")
    database(old, "CREATE TABLE orders AS SELECT 42 AS number")
    volumes = {item["metadata"]["uid"] for item in old.get("pvc")["items"]}
    replicas = [{"op": "add", "path": "/spec/replicas", "value": 1}]
    awake = {"target": {"kind": "StatefulSet"}, "patch": json.dumps(replicas)}
    old.write("postgres", "network-policies")
    text = json.loads((old.folder / "kustomization.yaml").read_text())
    text["patches"].append(awake)
    old.put("kustomization.yaml", json.dumps(text))
    assert "Forbidden: updates to statefulset spec" in old.run("apply", "-k", str(old.folder)).stderr

    for command in commands():
        old.kubectl(*command)
    old.apply()
    wait_ready(old)

    # The pods are new ones, on the same volumes.
    pods = {pod["metadata"]["name"]: pod for pod in old.get("pods")["items"]}
    for name in ("redis-0", "db-0"):
        assert pods[name]["spec"]["serviceAccountName"] == name.removesuffix("-0")
        (claim,) = [each for each in pods[name]["spec"]["volumes"] if "persistentVolumeClaim" in each]
        assert claim["persistentVolumeClaim"]["claimName"] == f"data-{name}"
    assert {item["metadata"]["uid"] for item in old.get("pvc")["items"]} == volumes
    assert redis(old, "LRANGE", "celery", "0", "-1") == "a task of 0.1"
    assert database(old, "SELECT number FROM orders") == "42"

    # And from here on a label everywhere is an ordinary change, which it was not.
    text["labels"] = [{"pairs": {"team": "shop"}, "includeTemplates": True}]
    old.put("kustomization.yaml", json.dumps(text))
    old.kubectl("delete", "job", "make-secrets")  # it waits here, and would go by itself after its end
    old.apply()
