"""How many pods of each kind run, where, who may change it, and what a drain may take at a time."""

import json
from typing import Any

import pytest
from kombu.transport.redis import PRIORITY_STEPS, Channel

from stack.broker.configuration import configuration
from stack.runtime.env import get
from tests.bundle.rendering import ALL, objects_of, pod_of, render

KEDA = "k8s/components/autoscaling-keda#0"
every_combination = pytest.mark.parametrize("combination", ALL)


def deployments(combination: str) -> dict[str, dict[str, Any]]:
    return {name: item for (kind, name), item in render(combination).items() if kind == "Deployment"}


def ours(selector: dict[str, Any]) -> dict[str, Any]:
    """A Deployment's selector, which cannot be changed, and that the pods are of this stack."""
    return {"matchLabels": selector["matchLabels"] | {"app.kubernetes.io/part-of": "django-celery-stack"}}


def scaled(combination: str) -> dict[str, int]:
    """The Deployments whose number an autoscaler owns, and the fewest pods that it leaves."""
    found = {}
    for (kind, _), item in render(combination).items():
        if kind in ("HorizontalPodAutoscaler", "ScaledObject"):
            least = item["spec"]["minReplicas" if kind == "HorizontalPodAutoscaler" else "minReplicaCount"]
            found[item["spec"]["scaleTargetRef"]["name"]] = least
    return found


@every_combination
def test_two_webs_and_two_workers_run_and_one_of_everything_else(combination: str) -> None:
    two = () if combination == "dev" else ("web", "worker")
    for name, item in deployments(combination).items():
        if name not in scaled(combination):
            assert item["spec"]["replicas"] == (2 if name in two else 1), name


# Every combination that has an autoscaler, and what it owns.
AUTOSCALED = {
    "k8s/components/autoscaling-hpa#0": {"web", "worker"},
    "production": {"web", "worker"},
    KEDA: {"worker"},
    "k8s/components/autoscaling-keda#1": {"worker"},
    "k8s/components/argocd#0": {"web", "worker"},
}


def test_the_combinations_with_an_autoscaler_are_these() -> None:
    assert {name: set(scaled(name)) for name in ALL if scaled(name)} == AUTOSCALED


@pytest.mark.parametrize("combination", AUTOSCALED)
def test_a_number_that_an_autoscaler_owns_is_not_set_back_by_an_apply(combination: str) -> None:
    for name in AUTOSCALED[combination]:
        assert "replicas" not in deployments(combination)[name]["spec"], name


@pytest.mark.parametrize("prefix", ["", "shop-"])
def test_with_both_autoscalers_the_worker_is_kedas_and_web_the_other_s(prefix: str) -> None:
    names = ("postgres", "autoscaling-hpa", "autoscaling-keda")
    overlay = {"resources": ["../../base"], "components": [f"../../components/{name}" for name in names]}
    objects = objects_of(json.dumps(overlay | {"namePrefix": prefix}))
    scalers = [item for item in objects if item["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    assert {item["kind"]: item["spec"]["scaleTargetRef"]["name"] for item in scalers} == {
        "HorizontalPodAutoscaler": f"{prefix}web",
        "ScaledObject": f"{prefix}worker",
    }
    assert len(scalers) == 2
    free = {item["metadata"]["name"] for item in objects if item["kind"] == "Deployment"} - {
        item["metadata"]["name"] for item in objects if "replicas" in item.get("spec", {})
    }
    assert free == {f"{prefix}web", f"{prefix}worker"}


def test_scaling_on_cpu_never_leaves_one_alone() -> None:
    assert scaled("k8s/components/autoscaling-hpa#0") == scaled("production") == {"web": 2, "worker": 2}


@every_combination
def test_a_budget_stands_where_more_than_one_pod_runs_and_nowhere_else(combination: str) -> None:
    budgets = {
        name: item["spec"] for (kind, name), item in render(combination).items() if kind == "PodDisruptionBudget"
    }
    least = {name: item["spec"].get("replicas") for name, item in deployments(combination).items()} | scaled(
        combination
    )
    assert budgets.keys() == {name for name, count in least.items() if count > 1}
    for name, budget in budgets.items():
        # One at a time: never in the way of a drain, and never all at once.
        assert budget == {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": ours(deployments(combination)[name]["spec"]["selector"]),
        }


@every_combination
def test_pods_of_a_kind_are_spread_over_the_nodes(combination: str) -> None:
    for name, item in deployments(combination).items():
        if name == "flower":  # never two
            continue
        places = ["kubernetes.io/hostname"]
        if "zones" in combination:  # a scheduler without them would leave out every node
            places.append("topology.kubernetes.io/zone")
        spreads = pod_of(item)["topologySpreadConstraints"]
        assert [spread["topologyKey"] for spread in spreads] == places, name
        for spread in spreads:
            assert (spread["maxSkew"], spread["whenUnsatisfiable"]) == (1, "ScheduleAnyway"), name
            assert spread["labelSelector"] == ours(item["spec"]["selector"]), name
            assert spread["matchLabelKeys"] == ["pod-template-hash"], f"{name}: old pods would count in a roll-out"


@every_combination
def test_the_pods_of_a_dead_node_are_replaced_after_half_a_minute(combination: str) -> None:
    for name, item in deployments(combination).items():
        left = {
            entry["key"]: entry["tolerationSeconds"]
            for entry in pod_of(item)["tolerations"]
            if (entry["operator"], entry["effect"]) == ("Exists", "NoExecute")
        }
        wanted = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        assert left == dict.fromkeys(wanted, 30), name


@pytest.mark.parametrize("combination", [KEDA, "k8s/components/autoscaling-keda#1"])
def test_keda_counts_every_list_of_the_queue_and_what_runs(combination: str) -> None:
    spec = render(combination)["ScaledObject", "worker"]["spec"]
    conf = configuration("worker", {"REDIS_PASSWORD": "unused"})
    sep = conf["broker_transport_options"]["sep"]
    lists = {f"celery{sep}{step}" if step else "celery" for step in PRIORITY_STEPS}
    counted = {trigger["name"]: trigger["metadata"]["listName"] for trigger in spec["triggers"]}
    assert set(counted.values()) == lists | {Channel.unacked_key}
    assert len(counted) == len(lists) + 1

    modifiers = spec["advanced"]["scalingModifiers"]
    assert set(modifiers["formula"].split(" + ")) == counted.keys()
    assert int(modifiers["target"]) == get("WORKER_CONCURRENCY", {})
    assert spec["minReplicaCount"] == 1, "only a running worker gives a killed one's tasks back"
    assert "idleReplicaCount" not in spec


def test_no_autoscaler_takes_workers_away_fast() -> None:
    keda = render(KEDA)["ScaledObject", "worker"]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    hpa = render("production")["HorizontalPodAutoscaler", "worker"]["spec"]["behavior"]
    slow = {"stabilizationWindowSeconds": 300, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    assert keda["scaleDown"] == hpa["scaleDown"] == slow
