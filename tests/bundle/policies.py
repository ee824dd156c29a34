"""What rendered network policies let through, worked out as a cluster would: the union of what selects a pod.

A form of rule that this file does not know is an error, so that none is overlooked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any


@dataclass(frozen=True)
class Peer:
    """A pod, or with no namespace an address outside the cluster."""

    name: str
    address: str
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)  # those of its containers, by name

    @property
    def namespace_labels(self) -> dict[str, str]:
        """Every namespace has this one by itself."""
        return {"kubernetes.io/metadata.name": self.namespace}


def only(item: dict[str, Any], *known: str) -> dict[str, Any]:
    assert set(item) <= set(known), f"the model does not know {set(item) - set(known)}"
    return item


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector matches; the empty one matches all."""
    only(selector, "matchLabels", "matchExpressions")
    assert all(rule["operator"] == "In" for rule in selector.get("matchExpressions", ()))
    plain = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return plain and all(labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", ()))


def matches(peer: dict[str, Any], own: str, other: Peer) -> bool:
    """Whether one entry of `from` or `to`, in a policy of the namespace `own`, means this peer."""
    only(peer, "podSelector", "namespaceSelector", "ipBlock")
    if "ipBlock" in peer:
        block, address = only(peer["ipBlock"], "cidr", "except"), ip_address(other.address)
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(hole) for hole in block.get("except", ())
        )
    if not other.namespace:
        return False
    place = (
        selects(peer["namespaceSelector"], other.namespace_labels)
        if "namespaceSelector" in peer
        else other.namespace == own
    )
    return place and selects(peer.get("podSelector", {}), other.labels)


def has_port(rule: dict[str, Any], target: Peer, protocol: str, port: int) -> bool:
    """Whether a rule is about this port; a name is looked up in the target's containers, as a cluster does."""
    entries = [only(entry, "protocol", "port") for entry in rule.get("ports", ())]
    return not entries or any(
        protocol == entry.get("protocol", "TCP")
        and port == (target.ports.get(entry["port"]) if isinstance(entry["port"], str) else entry["port"])
        for entry in entries
    )


@dataclass(frozen=True)
class Policies:
    """The network policies of one render."""

    objects: list[dict[str, Any]]

    def __post_init__(self) -> None:
        for item in self.objects:
            only(item["spec"], "podSelector", "policyTypes", "ingress", "egress")

    def of(self, direction: str, pod: Peer) -> list[dict[str, Any]]:
        return [
            item
            for item in self.objects
            if direction in item["spec"]["policyTypes"]
            and item["metadata"]["namespace"] == pod.namespace
            and selects(item["spec"]["podSelector"], pod.labels)
        ]

    def _lets(self, direction: str, peers: str, pod: Peer, other: Peer, target: Peer, place: tuple[str, int]) -> bool:
        found = self.of(direction, pod)
        rules = [rule for item in found for rule in item["spec"].get(direction.lower(), ())]
        return not found or any(
            has_port(only(rule, peers, "ports"), target, *place)
            and (not rule.get(peers) or any(matches(peer, pod.namespace, other) for peer in rule[peers]))
            for rule in rules
        )

    def lets_out(self, source: Peer, target: Peer, protocol: str, port: int) -> bool:
        return self._lets("Egress", "to", source, target, target, (protocol, port))

    def lets_in(self, source: Peer, target: Peer, protocol: str, port: int) -> bool:
        return self._lets("Ingress", "from", target, source, target, (protocol, port))


def pods_of(objects: Iterable[dict[str, Any]]) -> dict[str, Peer]:
    """The pods of a render's workloads by the workload's name, each with an address as pods have."""
    found: dict[str, Peer] = {}
    for item in objects:
        if item["kind"] in ("Deployment", "StatefulSet", "Job"):
            template, name = item["spec"]["template"], item["metadata"]["name"]
            ports = {
                port["name"]: port["containerPort"]
                for container in template["spec"]["containers"]
                for port in container.get("ports", ())
            }
            address = f"10.244.0.{len(found) + 10}"
            found[name] = Peer(name, address, item["metadata"]["namespace"], template["metadata"]["labels"], ports)
    return found
