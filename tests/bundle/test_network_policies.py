"""The pairs that the network policies allow, and no others, in every combination that has them."""

from itertools import product

import pytest

from tests.bundle.policies import Peer, Policies, pods_of
from tests.bundle.rendering import ONE_MORE, objects_of

# Besides the quickstart and production: with a cache, one more queue, and KEDA, which bring no policy of their own.
COMBINATIONS = {
    "quickstart": "resources: [../..]\n",
    "production": "resources: [../production]\n",
    "cache": (
        "resources: [../../base]\ncomponents: [../../components/postgres, ../../components/network-policies, "
        "../../components/cache]\n"
    ),
    "queue": (
        "# kustomization.yaml\nresources: [../../base, emails]\ncomponents: [../../components/postgres, "
        "../../components/network-policies, ../../components/autoscaling-keda, ../../components/queue]\n" + ONE_MORE
    ),
}
every_combination = pytest.mark.parametrize("combination", COMBINATIONS)

# Other people's pods. The first says that it is ours, as any pod may; the second has a role's name by chance.
NEIGHBOUR, REDIS = {"app.kubernetes.io/name": "web"}, {"app.kubernetes.io/name": "redis"}
CONTROLLERS = ("ingress-nginx", "traefik", "istio-ingress", "envoy-gateway-system")
FOREIGN = {
    "pretender": Peer("pretender", "10.244.1.1", "default", {"app.kubernetes.io/name": "web"}),
    "web of a neighbour": Peer("web of a neighbour", "10.244.1.4", "django-celery-stack", NEIGHBOUR),
    "redis of a neighbour": Peer("redis of a neighbour", "10.244.1.5", "django-celery-stack", NEIGHBOUR | REDIS),
    "kube-dns": Peer("kube-dns", "10.244.1.2", "kube-system", {"k8s-app": "kube-dns"}),
    "keda": Peer("keda", "10.244.1.3", "keda", {"app": "keda-operator"}),
    **{name: Peer(name, f"10.244.2.{number}", name) for number, name in enumerate(CONTROLLERS)},
}
OUTSIDE = {
    "internet": Peer("internet", "198.51.100.7"),
    "internet by IPv6": Peer("internet by IPv6", "2001:db8::7"),
    "machine of the same network": Peer("machine of the same network", "10.1.2.3"),
    "private by IPv6": Peer("private by IPv6", "fd00::7"),
    "metadata of the cloud": Peer("metadata of the cloud", "169.254.169.254"),
    "API server": Peer("API server", "10.96.0.1"),
    "managed Redis": Peer("managed Redis", "192.0.2.10"),
    "managed database": Peer("managed database", "192.0.2.20"),
}
# 25 stands for what no rule names.
PLACES = [*(("TCP", port) for port in (25, 53, 443, 5432, 5555, 6379, 6443, 8000)), ("UDP", 53), ("UDP", 6379)]
DNS = [("TCP", 53), ("UDP", 53)]
Ways = set[tuple[str, str, str, int]]


def setting(combination: str) -> tuple[Policies, dict[str, Peer], dict[str, Peer]]:
    """The policies, our pods, and all that they may speak to."""
    objects = objects_of(COMBINATIONS[combination])
    ours = pods_of(objects)
    return Policies([item for item in objects if item["kind"] == "NetworkPolicy"]), ours, ours | FOREIGN | OUTSIDE


def needed(ours: dict[str, Peer]) -> Ways:
    """What our own pods need of each other."""
    workers = [name for name in ours if name.startswith("worker")]
    redis: Ways = {(name, "redis", "TCP", 6379) for name in ("web", "beat", "flower", *workers)}
    # Flower's own is its init container's, which waits for the migrations and runs the project's code.
    database: Ways = {(name, "db", "TCP", 5432) for name in ("web", "beat", "flower", *workers)}
    cache: Ways = {(name, "cache", "TCP", 6379) for name in ("web", "beat", "flower", *workers)}
    return {way for way in redis | database | cache if way[1] in ours}


def ways_out(ours: dict[str, Peer], everybody: dict[str, Peer], combination: str) -> Ways:
    """The ways out that are needed."""
    found = needed(ours) | {(name, other, *place) for name, other, place in product(ours, everybody, DNS)}
    # The address of the API server is each cluster's own.
    found |= {("make-secrets", other, "TCP", port) for other, port in product(everybody, (443, 6443))}
    workers = [name for name in ours if name.startswith("worker")]
    public = ("internet", "internet by IPv6", "managed Redis", "managed database")  # the worker may mail anybody
    found |= {(name, other, *place) for name, other, place in product(workers, public, PLACES)}
    if combination == "production":
        found |= {(name, "managed Redis", "TCP", 6379) for name in ("web", "beat", "flower")}
        found |= {(name, "managed database", "TCP", 5432) for name in ("web", "beat", "flower")}
    return found


@every_combination
def test_out_of_each_pod_leads_what_it_needs_and_nothing_else(combination: str) -> None:
    policies, ours, everybody = setting(combination)
    found = {
        (source, target, *place)
        for source, target, place in product(ours, everybody, PLACES)
        if policies.lets_out(ours[source], everybody[target], *place)
    }
    assert found ^ ways_out(ours, everybody, combination) == set()


@every_combination
def test_into_each_pod_comes_who_needs_it_and_nobody_else(combination: str) -> None:
    policies, ours, everybody = setting(combination)
    found = {
        (source, target, *place)
        for source, target, place in product(everybody, ours, PLACES)
        if policies.lets_in(everybody[source], ours[target], *place)
    }
    wanted = needed(ours) | {(name, "web", "TCP", 8000) for name in CONTROLLERS} | {("keda", "redis", "TCP", 6379)}
    assert found ^ {way for way in wanted if way[1] in ours} == set()


@every_combination
def test_every_pod_is_selected_in_both_directions(combination: str) -> None:
    policies, ours, _ = setting(combination)
    for pod, direction in product(ours.values(), ("Ingress", "Egress")):
        assert policies.of(direction, pod), f"{pod.name}: {direction} is open"


def test_a_managed_redis_is_reached_by_the_rule_for_it_alone() -> None:
    """The worker's way to the internet would hide that its way to the managed services is missing."""
    policies, ours, _ = setting("production")
    own = Policies([item for item in policies.objects if item["metadata"]["name"].startswith("managed-")])
    for role, other, port in product(("web", "worker"), ("managed Redis", "managed database"), (6379, 5432)):
        assert own.lets_out(ours[role], OUTSIDE[other], "TCP", port) is ((other, port) in MANAGED), (role, other, port)


MANAGED = {("managed Redis", 6379), ("managed database", 5432)}
