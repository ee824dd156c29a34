"""What a GitOps tool does on every commit, on a real API server: the Job changes, and the second sync passes.

The tools themselves are not here. Each is done as its documentation says: Argo CD deletes a hook before it makes the
next one; Flux applies server-side, and deletes what is annotated with `force` where the API server refuses a change.
"""

import copy
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bundle.rendering import K8S, combinations, objects_of
from tests.e2e.k8s import Kubernetes

# Of the stack only what the Job needs, and no pod: its image is not fetched.
KINDS = ("ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Job")
HOOK, POLICY = "argocd.argoproj.io/hook", "argocd.argoproj.io/hook-delete-policy"
FORCE = "kustomize.toolkit.fluxcd.io/force"
OWN = ("gateway", "external-secrets", "sealed-secrets")


@pytest.fixture
def target() -> Iterator[Kubernetes]:
    stack = Kubernetes()
    try:
        stack.kubectl("create", "namespace", stack.namespace)
        yield stack
    finally:
        stack.remove()


def rendered(tool: str, namespace: str, **change: Any) -> list[dict[str, Any]]:
    """The Job and what it needs of an overlay with the tool's component; the Job waits for a node, and has `change`."""
    own = {"namespace": namespace, "resources": ["../../base"], "components": [f"../../components/{tool}"]}
    objects = [copy.deepcopy(item) for item in objects_of(json.dumps(own)) if item["kind"] in KINDS]
    (job,) = [item for item in objects if item["kind"] == "Job"]
    job["spec"]["template"]["spec"] |= {"nodeSelector": {"example.com/none": "at-all"}} | change
    return objects


def apply(target: Kubernetes, items: list[dict[str, Any]], *options: str) -> subprocess.CompletedProcess[str]:
    return target.run("apply", *options, "-f", "-", text=yaml.safe_dump_all(items))


def argocd(target: Kubernetes, objects: list[dict[str, Any]]) -> None:
    """A sync of one phase: the hooks that are there are deleted, then all is applied."""
    for item in objects:
        notes = item["metadata"].get("annotations", {})
        if HOOK in notes and notes.get(POLICY) == "BeforeHookCreation":
            target.kubectl("delete", item["kind"], item["metadata"]["name"], "--ignore-not-found", "--wait")
    done = apply(target, objects)
    assert done.returncode == 0, done.stderr


def flux(target: Kubernetes, objects: list[dict[str, Any]]) -> None:
    """A reconciliation: server-side, and what cannot be changed is made anew where it says `force`."""
    for item in objects:
        done = apply(target, [item], "--server-side", "--force-conflicts", "--field-manager=kustomize-controller")
        if "field is immutable" in done.stderr and item["metadata"].get("annotations", {}).get(FORCE) == "enabled":
            target.kubectl("delete", item["kind"], item["metadata"]["name"], "--wait")
            done = apply(target, [item], "--server-side", "--field-manager=kustomize-controller")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("tool", "sync"), [("argocd", argocd), ("flux", flux)])
def test_a_second_sync_with_a_changed_job_passes_and_goes_back(
    target: Kubernetes, tool: str, sync: Callable[[Kubernetes, list[dict[str, Any]]], None]
) -> None:
    for change in ({}, {"imagePullSecrets": [{"name": "registry"}]}, {}):
        sync(target, rendered(tool, target.namespace, **change))
        job = json.loads(target.kubectl("get", "job", "make-secrets", "-o", "json"))
        assert job["spec"]["template"]["spec"].get("imagePullSecrets") == change.get("imagePullSecrets")


def test_argo_cd_or_flux_may_take_over_what_was_applied_by_hand(target: Kubernetes) -> None:
    done = apply(target, rendered("flux", target.namespace))
    assert done.returncode == 0, done.stderr
    flux(target, rendered("flux", target.namespace, imagePullSecrets=[{"name": "registry"}]))


@pytest.mark.parametrize("file", ["argocd/application.yaml", "flux/sync.yaml", *OWN])
def test_the_tools_own_objects_are_valid_where_their_crds_are(target: Kubernetes, file: str) -> None:
    path = K8S / "components" / file
    texts = [combinations()[f"k8s/components/{file}#0"]] if file in OWN else []
    items = [item for text in texts for item in objects_of(text)] or list(yaml.safe_load_all(path.read_text()))
    foreign = [
        copy.deepcopy(item)
        for item in items
        if item["apiVersion"].partition("/")[0].count(".") and not of_kubernetes(item)
    ]
    assert foreign
    for item in foreign:
        item["metadata"]["namespace"] = target.namespace
    done = apply(target, foreign, "--dry-run=server")
    if "ensure CRDs are installed first" in done.stderr:
        pytest.skip(f"the CRDs of {Path(file).parts[0]} are not on this cluster")
    assert done.returncode == 0, done.stderr


def of_kubernetes(item: dict[str, Any]) -> bool:
    """Whether a kind is built in: the Gateway API carries the name of Kubernetes, and is not."""
    group = item["apiVersion"].partition("/")[0]
    return group.endswith(".k8s.io") and group != "gateway.networking.k8s.io"
