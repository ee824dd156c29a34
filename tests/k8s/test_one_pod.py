"""Redis and PostgreSQL are one pod each: a second one must not write to the volume of the first."""

import json

import pytest

from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes
from tests.waiting import wait_until


@pytest.mark.parametrize(("name", "container"), [("redis", "users"), ("db", "app")])
def test_a_second_pod_on_the_same_volume_ends_with_the_reason(
    stack: Kubernetes, api: Client, name: str, container: str
) -> None:
    stack.kubectl("scale", f"statefulset/{name}", "--replicas=2")
    try:
        wait_until(lambda: "its volume is not for two" in stack.run("logs", f"{name}-1", "-c", container).stdout, 60)
        pod = json.loads(stack.kubectl("get", "pod", f"{name}-1", "-o", "json"))
        assert not any(status["ready"] for status in pod["status"]["containerStatuses"])
        assert api.run("add", 2, 2, within=20)["result"] == 4
    finally:
        stack.kubectl("scale", f"statefulset/{name}", "--replicas=1")
        wait_until(lambda: not stack.kubectl("get", "pod", f"{name}-1", "--ignore-not-found"), 90)
