"""The example of an overlay in a namespace of its own, with options, and without anybody who runs but the Job."""

import json
from typing import Any

import yaml

from tests.bundle.example import EXAMPLE, Option, written
from tests.e2e.k8s import Kubernetes
from tests.waiting import wait_until

# Behind the example's own patches: pods that wait for a scheduler that does not exist.
ASLEEP = """
  - target: {kind: Deployment|StatefulSet}
    patch: |
      - {op: add, path: /spec/template/spec/schedulerName, value: nobody}
"""
# The Job goes soon, so that a test need not wait as long as its users.
SOON = """
  - target: {kind: Job}
    patch: |
      - {op: add, path: /spec/ttlSecondsAfterFinished, value: 1}
"""
CLASS = """
  - target: {kind: PersistentVolumeClaim, name: data-.*}
    patch: |
      - {op: add, path: /spec/storageClassName, value: %s}
"""
FOREIGN = {"ExternalSecret", "HTTPRoute", "ScaledObject", "TriggerAuthentication"}  # this cluster need not know them
SEEN = "deployment,statefulset,service,poddisruptionbudget,networkpolicy,serviceaccount,role,rolebinding,pvc"


def as_text(objects: list[dict[str, Any]]) -> str:
    """As kubectl reads it; YAML takes a second to write."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


class Place(Kubernetes):
    """A namespace with the example in it, and volumes of a class that lets them grow."""

    def text(self, *chosen: Option, storage: str = "") -> str:
        """The example with these options, in this namespace."""
        text = written(*chosen) + ASLEEP + SOON + CLASS % (storage or self.namespace)
        text = text.replace("priorityClassName, value: shop}", f"priorityClassName, value: {self.namespace}}}")
        return text.replace("namespace: django-celery-stack\n", f"namespace: {self.namespace}\n", 1)

    def write_files(self, folder: str, text: str) -> None:
        """An overlay that is the example with another text."""
        for path in EXAMPLE.rglob("*.yaml"):
            file = self.overlay.parent / folder / path.relative_to(EXAMPLE)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path.read_text() if path.parent != EXAMPLE else text)

    def rendered(self, folder: str, text: str) -> list[dict[str, Any]]:
        """The objects of an overlay with this text, but those that this cluster does not know."""
        self.write_files(folder, text)
        said = self.kubectl("kustomize", str(self.overlay.parent / folder))
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [item for item in yaml.load_all(said, loader) if item and item["kind"] not in FOREIGN]

    def from_its_owner(self) -> None:
        """What the cluster's owner makes: a PriorityClass, and volumes of a class that lets them grow."""
        storage = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "provisioner": "kubernetes.io/no-provisioner",
            "allowVolumeExpansion": True,
        }
        priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1}
        items = [each | {"metadata": {"name": self.namespace}} for each in (storage, priority)]
        for claim in ("data-redis-0", "data-db-0"):
            spec = {
                "storageClassName": self.namespace,
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "2Gi"},
                "claimRef": {"namespace": self.namespace, "name": claim},
                "hostPath": {"path": f"/nowhere/{claim}"},
            }
            volume = {"apiVersion": "v1", "kind": "PersistentVolume", "spec": spec}
            items.append(volume | {"metadata": {"name": f"{self.namespace}-{claim}"}})
        self.apply(items)

    def apply(self, objects: list[dict[str, Any]]) -> dict[str, str]:
        """What `kubectl apply` says of each object."""
        said = self.kubectl("apply", "-f", "-", text=as_text(objects))
        return dict(line.rsplit(" ", 1) for line in said.splitlines())

    def refused(self, objects: list[dict[str, Any]]) -> str:
        """What the API server says against these objects, or nothing."""
        done = self.run("apply", "--dry-run=server", "-f", "-", text=as_text(objects))
        return "" if done.returncode == 0 else done.stderr or done.stdout

    def job_is_gone(self) -> None:
        wait_until(lambda: not self.kubectl("get", "job", "-o", "name"), 60)

    def live(self) -> dict[str, Any]:
        """What is wanted of each object, as the API server has it."""
        found = {}
        for item in json.loads(self.kubectl("get", SEEN, "-o", "json"))["items"]:
            meta = {key: item["metadata"].get(key, {}) for key in ("labels", "annotations")}
            # Notes of kubectl and of the controllers.
            meta["annotations"] = {
                key: value for key, value in meta["annotations"].items() if "kubernetes.io" not in key
            }
            rest = {key: value for key, value in item.items() if key not in ("metadata", "status")}
            found[f"{item['kind']}/{item['metadata']['name']}"] = meta | rest
        return found

    def remove(self) -> None:
        super().remove()
        self.run("delete", "storageclass,priorityclass", self.namespace, "--ignore-not-found", "--wait=false")
        for claim in ("data-redis-0", "data-db-0"):
            self.run("delete", "pv", f"{self.namespace}-{claim}", "--ignore-not-found", "--wait=false")
