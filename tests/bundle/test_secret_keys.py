"""The keys of the Secret are those that pods read, in every combination; who may make, write and rotate them."""

import itertools
import json
import os
import runpy
import subprocess
import sys
from typing import Any

import pytest

from tests.bundle.rendering import ALL, PROJECT, app_of, combinations, objects_of, pod_of, render, workloads

READERS = runpy.run_path(str(PROJECT / "deploy" / "secret_readers.py"))["READERS"]
# Of a component that is named in whichever order.
ORDERS = list(itertools.permutations(("external-services", "no-flower", "autoscaling-keda")))


def read_by_pods(objects: list[dict[str, Any]]) -> set[str]:
    """Each key of the Secret that a pod mounts, or KEDA reads."""
    found = set()
    for item in objects:
        if item["kind"] == "TriggerAuthentication":
            found |= {entry["key"] for entry in item["spec"]["secretTargetRef"]}
        elif item["kind"] in ("Deployment", "StatefulSet", "Job"):
            secrets = [volume.get("secret", {}) for volume in pod_of(item).get("volumes", ())]
            ours = [secret for secret in secrets if secret.get("secretName", "").endswith("app-secrets")]
            found |= {entry["key"] for secret in ours for entry in secret["items"]}
    return found


def listed(objects: list[dict[str, Any]]) -> dict[str, str]:
    (found,) = [item["data"] for item in objects if item["metadata"]["name"].endswith("secret-keys")]
    return dict(found)


@pytest.mark.parametrize("combination", ALL)
def test_the_job_asks_for_the_keys_that_pods_read_and_no_others(combination: str) -> None:
    objects = objects_of(combinations()[combination])
    keys = listed(objects)
    assert keys.keys() == read_by_pods(objects)
    foreign = "Service", "redis"
    theirs = {key for key in keys if key.startswith(("web_", "worker_", "beat_", "flower_r", "keda_", "database_"))}
    given = {key for key, kind in keys.items() if kind == "given"}
    assert given == (set() if foreign in render(combination) else theirs)


@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
def test_the_order_of_components_changes_no_key(order: tuple[str, ...]) -> None:
    components = [f"../../components/{name}" for name in order]
    objects = objects_of(json.dumps({"resources": ["../../base"], "components": components}))
    assert listed(objects).keys() == read_by_pods(objects)
    assert {key for key, kind in listed(objects).items() if kind == "random"} == {"secret_key", "api_token"}


def test_the_job_may_read_make_and_add_to_its_one_secret_and_nothing_else() -> None:
    role = render("quickstart")["Role", "app-secrets"]
    assert [set(rule["verbs"]) for rule in role["rules"]] == [{"create"}, {"get", "patch"}]
    assert role["rules"][1]["resourceNames"] == ["app-secrets"]
    assert {kind for kind, _ in render("quickstart")} & {"ClusterRole", "ClusterRoleBinding"} == set()


def test_a_job_whose_secret_is_anothers_may_only_look_at_it() -> None:
    objects = render("k8s/components/given-secrets#0")
    (rule,) = objects["Role", "app-secrets"]["rules"]
    assert (rule["verbs"], rule["resourceNames"]) == (["get"], ["app-secrets"])
    assert app_of(objects["Job", "make-secrets"])["args"][-1] == "--given"


def test_the_job_goes_soon_so_that_the_next_apply_makes_it_anew() -> None:
    spec = render("quickstart")["Job", "make-secrets"]["spec"]
    assert spec["ttlSecondsAfterFinished"] <= 20
    assert spec["activeDeadlineSeconds"] <= 300


def test_a_rotation_restarts_who_reads_the_key() -> None:
    combination = "k8s/components/cache#0"
    readers: dict[str, set[str]] = {key: set() for key in listed(objects_of(combinations()[combination]))}
    for item in workloads(combination).values():
        # What only waits for the migrations reads it at its next start.
        mounted = {mount["name"] for mount in app_of(item)["volumeMounts"]}
        for volume in pod_of(item).get("volumes", ()):
            if item["kind"] == "Deployment" and volume["name"] in mounted:
                for entry in volume.get("secret", {}).get("items", ()):
                    readers[entry["key"]].add(item["metadata"]["name"])
    for key, names in readers.items():
        restarted = set(READERS.get(key, [key.removesuffix("_redis_password")]))
        assert restarted & set(workloads("quickstart")) == names, key


@pytest.mark.parametrize(
    ("overlay", "key", "said"),
    [
        ("production", "database_password", "database_password is given. Change the password at its provider"),
        ("dev", "keda_redis_password", "'keda_redis_password' is no key of the stack's own; those are: admin_redis_"),
    ],
)
def test_a_password_that_is_not_ours_to_choose_is_not_rotated(overlay: str, key: str, said: str) -> None:
    render("quickstart")  # skips where there is no kubectl
    done = subprocess.run(
        [sys.executable, PROJECT / "deploy" / "cluster.py", "rotate", key],
        env={"PATH": os.environ["PATH"], "KUBECONFIG": "/nowhere", "OVERLAY": f"k8s/overlays/{overlay}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    meant, _, refusal = done.stderr.partition("\n")
    assert meant.startswith(f"k8s/overlays/{overlay} in the namespace django-celery-stack")
    assert refusal.startswith(said), done.stderr
