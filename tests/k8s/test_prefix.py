"""An overlay that gives every name a prefix, and a second one beside it in the same namespace."""

from typing import Any

import pytest

from tests.k8s.overlays import Overlay
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def own(prefix: str) -> dict[str, Any]:
    """What k8s/overlays.md says of several instances in one namespace."""
    pairs = {"app.kubernetes.io/instance": prefix.strip("-")}
    return {"namePrefix": prefix, "labels": [{"pairs": pairs, "includeSelectors": True}]}


def addresses(team: Overlay, service: str) -> list[str]:
    """The pods that a Service leads to."""
    slices = team.get("endpointslices", "-l", f"kubernetes.io/service-name={service}")["items"]
    return [address for each in slices for one in each.get("endpoints") or () for address in one["addresses"]]


@pytest.mark.timeout(600)
def test_two_instances_of_different_prefix_live_in_one_namespace() -> None:
    with Overlay() as team:
        one = [{"name": name, "count": 1} for name in ("web", "worker")]
        team.write("postgres", "network-policies", "cache", asleep=False, replicas=one, **own("shop-"))
        team.apply()
        for kind, name in (("statefulset", "redis"), ("statefulset", "db"), ("statefulset", "cache")):
            team.kubectl("rollout", "status", f"{kind}/shop-{name}", "--timeout=240s")
        for name in ("web", "worker", "beat", "flower"):
            team.kubectl("rollout", "status", f"deployment/shop-{name}", "--timeout=240s")

        proof = ("env", "PYTHONPATH=app", "python", "-m", "stack.ops.proof")
        assert "add(2, 3) = 5" in team.kubectl("exec", "deployment/shop-web", "-c", "app", "--", *proof)
        cache = "from django.core.cache import cache; cache.set('a', 'b'); print(cache.get('a'))"
        manage = ("python", "app/manage.py", "shell", "--no-imports", "-c", cache)
        assert team.kubectl("exec", "deployment/shop-web", "-c", "app", "--", *manage).strip() == "b"
        made = [item["metadata"]["name"] for item in team.get("secret")["items"]]
        assert made == ["shop-app-secrets"]

        team.write("postgres", "network-policies", **own("blog-"))
        team.apply()

        wait_until(lambda: team.get("endpointslices", "-l", "kubernetes.io/service-name=blog-web")["items"], 30)
        for service in ("web", "redis", "db", "flower"):
            assert len(addresses(team, f"shop-{service}")) == 1, service
            assert addresses(team, f"blog-{service}") == [], service
        for kind, name in (("deployment", "web"), ("statefulset", "redis")):
            assert team.get(kind, f"shop-{name}")["status"]["readyReplicas"] == 1
