"""An overlay that gives every name a prefix, so that a second instance may live beside the first in one namespace."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from stack.runtime.env import environment, redis_url
from tests.bundle.rendering import K8S, ONE_MORE, app_of, objects_of, pod_of
from tests.bundle.test_labels import selectors

COMPONENTS = ("postgres", "network-policies", "cache", "queue", "media", "ingress", "autoscaling-keda")
# A name that stands for an object, wherever Kubernetes and KEDA look for one.
REFERENCES = (
    *("serviceAccountName", "claimName", "secretName", "serviceName"),
    *("configMap", "configMapRef", "scaleTargetRef", "authenticationRef", "secretTargetRef", "roleRef", "service"),
)
FOREIGN = {"kube-root-ca.crt", "web-tls"}  # made by the cluster, and by whoever makes certificates


def overlay(prefix: str, components: tuple[str, ...] = COMPONENTS, **more: Any) -> list[dict[str, Any]]:
    """The objects of the overlay that k8s/overlays.md shows, with other components, in the namespace of a team."""
    own: dict[str, Any] = {"resources": ["../../base", "emails"], "namespace": "team-a", "namePrefix": prefix}
    own["labels"] = [{"pairs": {"app.kubernetes.io/instance": prefix.strip("-")}, "includeSelectors": True}]
    own["components"] = [f"../../components/{name}" for name in components]
    return objects_of(f"# kustomization.yaml\n{json.dumps(own | more)}\n{ONE_MORE}")


def references(value: Any) -> Iterator[str]:
    """Every name of another object within a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in REFERENCES and isinstance(inner, str):
                yield inner
            elif key in REFERENCES and isinstance(inner, dict | list):
                yield from (each["name"] for each in (inner if isinstance(inner, list) else [inner]) if "name" in each)
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.mark.parametrize("components", [COMPONENTS, (*COMPONENTS[:-1], "autoscaling-hpa")], ids=["KEDA", "HPA"])
def test_a_prefix_reaches_every_name_and_every_reference_to_one(components: tuple[str, ...]) -> None:
    objects = overlay("shop-", components)
    names = {(item["kind"], item["metadata"]["name"]) for item in objects}
    assert all(name.startswith("shop-") for _, name in names), names
    found = {name for item in objects for name in references(item) if item["kind"] != "ConfigMap"} - FOREIGN
    assert len(found) > 15
    # The Secret is none of these objects, and is named as the Role with the right to it.
    assert found <= {name for _, name in names}, found - {name for _, name in names}


def test_a_suffix_reaches_every_reference_too() -> None:
    objects = overlay("shop-", nameSuffix="-blue")
    names = {item["metadata"]["name"] for item in objects}
    found = {name for item in objects for name in references(item) if item["kind"] != "ConfigMap"} - FOREIGN
    assert found <= names, found - names
    assert {"shop-app-secrets-blue", "shop-redis-blue", "shop-data-redis-0-blue"} <= names
    (data,) = [item["data"] for item in objects if "REDIS_URL" in item.get("data", {})]
    assert redis_url("web", environment("no .env", data))[2] == "shop-redis-blue"


def test_the_addresses_follow_the_prefix() -> None:
    (data,) = [item["data"] for item in overlay("shop-") if "REDIS_URL" in item.get("data", {})]
    env = environment("no .env", data)
    assert redis_url("web", env)[2] == "shop-redis"
    assert env["DATABASE_URL"] == "postgres://app@shop-db:5432/app"
    assert env["CACHE_URL"] == "redis://shop-cache:6379/0"
    assert "shop-web" in env["ALLOWED_HOSTS"].split(",")


def test_an_address_of_one_s_own_is_left_as_it_is() -> None:
    operation = [{"op": "replace", "path": "/data/REDIS_URL", "value": "rediss://mine.example.com:6379/1"}]
    patch = {"target": {"kind": "ConfigMap", "name": "app"}, "patch": json.dumps(operation)}
    for components, more in ((("postgres",), {"patches": [patch]}), (("external-services",), {})):
        (data,) = [
            item["data"]
            for item in overlay("shop-", (*components, "queue"), **more)
            if "REDIS_URL" in item.get("data", {})
        ]
        assert redis_url("web", environment("no .env", data))[2].endswith(".example.com")


def test_the_job_makes_the_secret_that_the_pods_read() -> None:
    objects = overlay("shop-")
    (job,) = [item for item in objects if item["kind"] == "Job"]
    made = {each["name"]: each.get("value") for each in app_of(job)["env"]}["SECRET"]
    read = {
        volume["secret"]["secretName"]
        for item in objects
        if item["kind"] in ("Deployment", "StatefulSet")
        for volume in pod_of(item)["volumes"]
        if "secret" in volume
    }
    (role,) = [item for item in objects if item["kind"] == "Role"]
    allowed = {name for rule in role["rules"] for name in rule.get("resourceNames", ())}
    assert {made} == read == allowed == {"shop-app-secrets"}


def test_two_instances_do_not_select_each_other_s_pods() -> None:
    both = [overlay(prefix) for prefix in ("shop-", "blog-")]
    assert not {(item["kind"], item["metadata"]["name"]) for item in both[0]} & {
        (item["kind"], item["metadata"]["name"]) for item in both[1]
    }
    for objects, instance in zip(both, ("shop", "blog"), strict=True):
        count = 0
        for item in objects:
            if item["kind"] not in ("ConfigMap", "Job"):
                for labels in selectors(item.get("spec", {})):
                    assert labels["app.kubernetes.io/instance"] == instance, item["metadata"]["name"]
                    count += 1
            if "template" in item.get("spec", {}):
                pod = item["spec"]["template"]["metadata"]["labels"]
                assert pod["app.kubernetes.io/instance"] == instance, item["metadata"]["name"]
        assert count > 30


def test_the_readme_shows_the_overlay() -> None:
    (block,) = re.findall(r"```yaml\n([^`]*namePrefix[^`]*)```", (K8S / "overlays.md").read_text())
    for line in ("namePrefix: shop-", "labels: [{pairs: {app.kubernetes.io/instance: shop}, includeSelectors: true}]"):
        assert line in block.splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://$(NAME):6379/0", "redis://shop-redis:6379/0"),
        ("$(NAME),$(NAME)", "shop-redis,shop-redis"),
        ("redis://$(OTHER):6379/0", "redis://$(OTHER):6379/0"),  # as Kubernetes leaves it
        ("redis://a$(b", "redis://a$(b"),
        ("redis://a$b", "redis://a$b"),
    ],
)
def test_a_variable_in_an_address_is_put_in(text: str, expected: str) -> None:
    assert environment("no .env", {"REDIS_URL": text, "NAME": "shop-redis"})["REDIS_URL"] == expected
    assert environment("no .env", {"MOTTO": text, "NAME": "shop-redis"})["MOTTO"] == text, "a project's own"
