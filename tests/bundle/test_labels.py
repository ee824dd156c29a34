"""The labels by which Kubernetes' tools, the Services, the policies and `make down` know what is the stack's."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bundle.example import options, written
from tests.bundle.rendering import ALL, ONE_MORE, app_of, objects_of, pod_of, render, workloads

PREFIX = "app.kubernetes.io/"
OURS = {f"{PREFIX}part-of": "django-celery-stack", f"{PREFIX}managed-by": "kustomize"}
COMPONENTS = {
    "web": "web",
    "worker": "worker",
    "beat": "scheduler",
    "flower": "monitoring",
    "make-secrets": "secrets",
    "redis": "broker",
    "db": "database",
    "cache": "cache",
}
# What may be chosen anew at each apply; the selectors of a Deployment and of a StatefulSet may not.
MUTABLE = ("Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment")
ROLES = ("web", "worker", "beat", "flower")
every_combination = pytest.mark.parametrize("combination", ALL)


def selectors(value: Any) -> Iterator[dict[str, str]]:
    """Every label selector of pods within a value: of policies and their peers, of budgets, of spreads."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("podSelector", "labelSelector") or (key == "selector" and "matchLabels" in inner):
                yield inner["matchLabels"] | {rule["key"]: "" for rule in inner.get("matchExpressions", ())}
            elif key == "selector":
                yield inner
            yield from selectors(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from selectors(inner)


@every_combination
def test_everything_says_what_it_is_part_of(combination: str) -> None:
    for (kind, name), item in render(combination).items():
        wanted = OURS if kind == "Namespace" else OURS | {f"{PREFIX}instance": "django-celery-stack"}
        assert wanted.items() <= item["metadata"]["labels"].items(), f"{kind} {name}"
        if kind in ("Deployment", "StatefulSet", "Job"):
            assert wanted.items() <= item["spec"]["template"]["metadata"]["labels"].items(), f"pods of {kind} {name}"


@every_combination
def test_every_workload_and_its_pods_say_what_they_do(combination: str) -> None:
    for name, item in workloads(combination).items():
        role = name.partition("-for-")[0]
        for labels in (item["metadata"]["labels"], item["spec"]["template"]["metadata"]["labels"]):
            found = {word: labels.get(PREFIX + word) for word in ("name", "component")}
            assert found == {"name": role, "component": COMPONENTS[role]}, name


@every_combination
def test_what_may_change_selects_pods_of_the_stack_only(combination: str) -> None:
    """A neighbour in the same namespace may have a `web` of its own."""
    count = 0
    for (kind, name), item in render(combination).items():
        if kind in MUTABLE:
            spec = item["spec"]["template"]["spec"] if kind == "Deployment" else item["spec"]
            for labels in selectors(spec):
                assert labels[f"{PREFIX}part-of"] == "django-celery-stack", f"{kind} {name}"
                assert f"{PREFIX}name" in labels or name in ("default-deny", "dns"), f"{kind} {name}"
                count += 1
    assert count >= 6


@every_combination
def test_selectors_that_cannot_change_are_those_of_0_1(combination: str) -> None:
    for name, item in workloads(combination).items():
        if item["kind"] != "Job":
            role, own, queue = name.partition("-for-")
            wanted = {f"{PREFIX}name": role} | ({"queue": queue if own else "default"} if role == "worker" else {})
            assert item["spec"]["selector"] == {"matchLabels": wanted}, name


@every_combination
def test_no_claim_stands_in_a_template_and_each_is_as_0_1_named_it(combination: str) -> None:
    claims = {name for kind, name in render(combination) if kind == "PersistentVolumeClaim"} - {"media"}
    mounted = set()
    for item in workloads(combination).values():
        assert "volumeClaimTemplates" not in item["spec"], "a running StatefulSet takes no label there"
        for volume in item["spec"]["template"]["spec"]["volumes"]:
            mounted.add(volume.get("persistentVolumeClaim", {}).get("claimName"))
    assert mounted - {None, "media"} == claims <= {"data-redis-0", "data-db-0"}


@every_combination
def test_each_role_has_an_account_of_its_own_without_a_token(combination: str) -> None:
    accounts = {name: item for (kind, name), item in render(combination).items() if kind == "ServiceAccount"}
    used = set()
    for name, item in workloads(combination).items():
        role = name.partition("-for-")[0]
        assert item["spec"]["template"]["spec"]["serviceAccountName"] == role
        assert accounts[role]["automountServiceAccountToken"] is False
        used.add(role)
    assert accounts.keys() == used, "an account that nobody has"


@every_combination
def test_few_old_versions_are_kept(combination: str) -> None:
    for name, item in workloads(combination).items():
        if item["kind"] != "Job":
            assert item["spec"]["revisionHistoryLimit"] == 5, name


def test_a_priority_for_all_is_one_option_of_the_example() -> None:
    (option,) = [each for each in options() if each.name == "Who goes first where a node is full"]
    own = written(option, components=frozenset({"cache"}))
    found = {
        item["metadata"]["name"]: pod_of(item).get("priorityClassName")
        for item in objects_of(own)
        if "template" in item.get("spec", {})
    }
    assert found == dict.fromkeys(COMPONENTS, "shop")


def versions(objects: list[dict[str, Any]]) -> dict[str, set[Any]]:
    """The label `version` of each workload and of its pods."""
    found = {}
    for item in objects:
        labels = [item["metadata"]["labels"]]
        if "template" in item.get("spec", {}):
            labels.append(item["spec"]["template"]["metadata"]["labels"])
        found[f"{item['kind']}/{item['metadata']['name']}"] = {each.get(f"{PREFIX}version") for each in labels}
    return found


def with_image(**image: str) -> list[dict[str, Any]]:
    own: dict[str, Any] = {"resources": ["../../base", "emails"], "transformers": ["../../version"]}
    own["components"] = [f"../../components/{name}" for name in ("postgres", "cache", "queue")]
    own["images"] = [{"name": "django-celery-stack"} | image]
    return objects_of(f"# kustomization.yaml\n{json.dumps(own)}\n{ONE_MORE}")


@every_combination
def test_a_version_is_that_of_the_image_or_is_not_said(combination: str) -> None:
    for name, found in versions(list(render(combination).values())).items():
        if found != {None}:
            tag = app_of(render(combination)["Deployment", name.partition("/")[2]])["image"].rpartition(":")[2]
            assert found == {tag}, name


def test_the_version_follows_the_tag_of_an_overlay_on_four_roles_only() -> None:
    found = versions(with_image(newName="example.com/shop", newTag="1.2.3"))
    labelled = {name for name, version in found.items() if version != {None}}
    assert labelled == {f"Deployment/{role}" for role in (*ROLES, "worker-for-emails")}
    assert {*map(str, (found[name] for name in labelled))} == {"{'1.2.3'}"}


@pytest.mark.parametrize("combination", ["quickstart", "dev", "production"])
def test_what_is_shipped_says_its_version(combination: str) -> None:
    found = versions(list(render(combination).values()))
    assert {name for name, version in found.items() if version != {None}} >= {f"Deployment/{role}" for role in ROLES}
