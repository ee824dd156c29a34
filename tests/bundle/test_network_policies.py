"""The pairs that the network policies allow, worked out as a cluster would: the union of what selects a pod."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from tests.bundle.rendering import render, workloads

COMBINATION = "quickstart"
PODS = ("web", "worker", "beat", "flower", "redis", "db", "make-secrets")
ALLOWED = {
    ("web", "redis", 6379),
    ("worker", "redis", 6379),
    ("beat", "redis", 6379),
    ("flower", "redis", 6379),
    ("web", "db", 5432),
    ("worker", "db", 5432),
}
PORTS = {"web": 8000, "flower": 5555, "redis": 6379, "db": 5432}
NAMED = {"http": (8000, 5555), "redis": (6379,), "postgres": (5432,)}


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector matches; the empty one matches all."""
    plain = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    assert all(rule["operator"] == "In" for rule in selector.get("matchExpressions", ()))
    return plain and all(labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", ()))


def policies(direction: str, labels: dict[str, str]) -> list[dict[str, Any]]:
    items = [item for (kind, _), item in render(COMBINATION).items() if kind == "NetworkPolicy"]
    return [
        item["spec"]
        for item in items
        if direction in item["spec"]["policyTypes"] and selects(item["spec"]["podSelector"], labels)
    ]


def allows(rule: dict[str, Any], peers: str, other: dict[str, str], port: int) -> bool:
    """Whether one rule lets a pod of the same namespace through; `peers` is `from` or `to`."""
    ports = [entry["port"] for entry in rule.get("ports", ())]
    if ports and not any(port == entry or port in NAMED.get(entry, ()) for entry in ports):
        return False
    if peers not in rule:
        return True
    return any("podSelector" in peer and "namespaceSelector" not in peer and selects(peer["podSelector"], other)
               for peer in rule[peers])  # fmt: skip


def lets_out(source: dict[str, str], target: dict[str, str], port: int) -> bool:
    rules = [rule for spec in policies("Egress", source) for rule in spec.get("egress", ())]
    return any(allows(rule, "to", target, port) for rule in rules)


def lets_in(source: dict[str, str], target: dict[str, str], port: int) -> bool:
    rules = [rule for spec in policies("Ingress", target) for rule in spec.get("ingress", ())]
    return any(allows(rule, "from", source, port) for rule in rules)


def labels_of(name: str) -> dict[str, str]:
    return dict(workloads(COMBINATION)[name]["spec"]["template"]["metadata"]["labels"])


@pytest.mark.parametrize("side", [lets_out, lets_in])
def test_each_side_allows_exactly_the_needed_pairs(side: Callable[..., bool]) -> None:
    assert set(workloads(COMBINATION)) == set(PODS)
    pairs = {
        (source, target, port)
        for source, target, port in product(PODS, PODS, sorted(PORTS.values()))
        if side(labels_of(source), labels_of(target), port)
    }
    assert pairs == ALLOWED


def test_every_pod_is_selected_in_both_directions() -> None:
    for name, direction in product(PODS, ("Ingress", "Egress")):
        assert policies(direction, labels_of(name)), f"{name}: {direction} is open"


def test_only_the_worker_and_the_job_have_a_way_out() -> None:
    outside = {
        name
        for name in PODS
        for spec in policies("Egress", labels_of(name))
        for rule in spec.get("egress", ())
        if [entry["port"] for entry in rule.get("ports", ())] != [53, 53]
        and ("to" not in rule or any("ipBlock" in peer for peer in rule["to"]))
    }
    assert outside == {"worker", "make-secrets"}


def test_tasks_reach_no_private_address() -> None:
    (spec,) = [
        item["spec"]
        for (kind, name), item in render(COMBINATION).items()
        if (kind, name) == ("NetworkPolicy", "worker")
    ]
    (block,) = [peer["ipBlock"] for rule in spec["egress"] for peer in rule["to"] if "0.0.0.0/0" in str(peer)]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(block["except"])
