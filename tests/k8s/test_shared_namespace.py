"""A namespace in which another team lives: the stack owns what carries its label, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bundle.rendering import ONE_MORE, files_of
from tests.bundle.test_labels import selectors
from tests.k8s.overlays import Overlay

USER = "alice-of-team"
# Of another team. Its name is that of a role of ours, and it asks for more than `restricted` allows.
NEIGHBOUR = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-of-a-neighbour}
spec:
  replicas: 1
  selector: {matchLabels: &labels {app.kubernetes.io/name: web, app.kubernetes.io/instance: another}}
  template:
    metadata: {labels: *labels}
    spec: {containers: [{name: main, image: "redis:8-trixie", securityContext: {runAsUser: 0}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: of-a-neighbour}
stringData: {password: theirs}
"""
# The rights of somebody who may do anything in one namespace, and nothing outside it.
RIGHTS = f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: of-the-team}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}}
subjects: [{{kind: User, name: {USER}}}]
"""
KINDS = "deployment,statefulset,service,configmap,job,serviceaccount,role,rolebinding,pvc,pdb,networkpolicy,hpa,ingress"
# kubectl replaces this one's selector at each `apply`, whatever it holds: the API server sees no change.
ALWAYS_SENT = ("poddisruptionbudget",)


@pytest.fixture
def team() -> Iterator[Overlay]:
    with Overlay() as overlay:
        overlay.kubectl("apply", "-f", "-", text=RIGHTS)
        yield overlay


def whole(team: Overlay) -> None:
    """An overlay with every component whose kinds each cluster knows."""
    file, text = files_of(f"# kustomization.yaml\n{ONE_MORE}").popitem()
    team.put(file, text)
    components = ("postgres", "network-policies", "cache", "queue", "media", "ingress", "autoscaling-hpa")
    team.write(*components, resources=["../../base", "emails"])


def admitted(team: Overlay) -> bool:
    """Whether the neighbour's pods are still taken; nothing is made."""
    pod = ("run", "one-more", "--image=redis:8-trixie", "--labels=app.kubernetes.io/name=web", "--dry-run=server")
    return team.run(*pod).returncode == 0


def test_a_neighbour_is_neither_refused_selected_nor_deleted(team: Overlay) -> None:
    team.kubectl("apply", "-f", "-", text=NEIGHBOUR)
    theirs = team.get("deployment,secret,rolebinding")["items"]
    before = team.get("namespace", team.namespace)["metadata"]
    team.write("postgres", "network-policies")

    team.apply(f"--as={USER}")

    assert team.get("namespace", team.namespace)["metadata"]["labels"] == before["labels"]
    assert admitted(team)
    labels = team.get("deployment", "web-of-a-neighbour")["spec"]["template"]["metadata"]["labels"]
    for item in team.get("service,networkpolicy,pdb")["items"]:
        for selector in selectors(item["spec"]):
            assert not selector.items() <= labels.items(), f"{item['kind']} {item['metadata']['name']}"

    team.kubectl("delete", "-k", str(team.folder), f"--as={USER}")

    left: list[Any] = [item for item in team.get(KINDS)["items"] if item["kind"] != "ConfigMap"]
    names = {item["metadata"]["name"] for item in left}
    assert names == {"web-of-a-neighbour", "of-the-team", "default"}  # `default` is the namespace's own account
    for item in theirs:
        team.kubectl("get", item["kind"], item["metadata"]["name"])


def test_a_second_apply_says_unchanged_for_all_but_the_job(team: Overlay) -> None:
    whole(team)
    team.apply(f"--as={USER}")
    lines = team.apply(f"--as={USER}").splitlines()
    assert len(lines) > 45
    changed = [line for line in lines if not line.endswith(" unchanged")]
    assert [line for line in changed if not line.startswith(("job.batch/", *ALWAYS_SENT))] == []
