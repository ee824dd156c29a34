"""A route of a Gateway beside the Ingress: one host, one service, one word on whom the web role believes."""

import json

from tests.bundle.matches import matches
from tests.bundle.rendering import PROJECT, Objects, objects_of, render

GATEWAY, INGRESS = "k8s/components/gateway#0", "k8s/components/ingress#0"


def both(**more: object) -> Objects:
    """The objects of an overlay that has an Ingress and a route, by kind and name without a hash."""
    names = ("postgres", "network-policies", "ingress", "gateway")
    own = {"resources": ["../../base"], "components": [f"../../components/{name}" for name in names]}
    objects = objects_of(json.dumps(own | more))
    found = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    assert len(found) == len(objects), "an object is there twice"
    return found


def test_a_route_leads_where_the_ingress_leads() -> None:
    route, ingress = render(GATEWAY)["HTTPRoute", "web"]["spec"], render(INGRESS)["Ingress", "web"]["spec"]
    (rule,), (old,) = route["rules"], ingress["rules"]
    assert route["hostnames"] == [old["host"]]
    (path,) = old["http"]["paths"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": path["path"]}}]
    service = render(GATEWAY)["Service", path["backend"]["service"]["name"]]
    (port,) = [each["port"] for each in service["spec"]["ports"] if each["name"] == "http"]
    assert rule["backendRefs"] == [{"name": service["metadata"]["name"], "port": port}]


def test_a_route_names_the_listener_that_ends_tls() -> None:
    (parent,) = render(GATEWAY)["HTTPRoute", "web"]["spec"]["parentRefs"]
    assert parent["sectionName"] == "https", "without it, the route is served in plain HTTP too"


def test_a_route_waits_longer_than_the_api_may_hold_an_answer() -> None:
    text = "".join(path.read_text() for path in (PROJECT / "app/stack/http").glob("*.py"))
    longest = max(map(int, matches(r"wait: Annotated\[float, Query\(ge=0, le=(\d+)\)\]", text, least=2)))
    (rule,) = render(GATEWAY)["HTTPRoute", "web"]["spec"]["rules"]
    assert int(rule["timeouts"]["request"].removesuffix("s")) > longest + 5


def test_ingress_and_gateway_say_the_same_of_hosts_and_proxies() -> None:
    data = [render(name)["ConfigMap", "app"]["data"] for name in (GATEWAY, INGRESS, "k8s/components/hosts#0")]
    assert data[0] == data[1] == data[2]
    assert "TRUSTED_PROXIES" in data[0]


def test_ingress_and_gateway_may_be_used_together() -> None:
    objects = both()
    assert {kind for kind, name in objects if name == "web"} >= {"Ingress", "HTTPRoute", "Service"}
    (data,) = [item["data"] for (kind, name), item in objects.items() if kind == "ConfigMap" and name[:4] == "app-"]
    assert data == render(GATEWAY)["ConfigMap", "app"]["data"]


def test_a_prefix_and_a_namespace_reach_the_route() -> None:
    route = both(namePrefix="shop-", namespace="team-a")["HTTPRoute", "shop-web"]
    assert route["metadata"]["namespace"] == "team-a"
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": "shop-web", "port": 8000}]
    assert route["spec"]["parentRefs"][0]["name"] == "public", "the Gateway is somebody else's"
