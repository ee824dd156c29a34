"""Workers come with the work and go after it; needs metrics-server for one test and KEDA for the other."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.chaos.conftest import brought_up
from tests.e2e.client import Client
from tests.e2e.k8s import Kubernetes, cluster
from tests.traffic import Runs
from tests.waiting import wait_until

# Seconds in place of minutes, so that the test sees the way down, too.
QUICK = {"stabilizationWindowSeconds": 15, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}


def quick(kind: str, path: str) -> tuple[str, ...]:
    operation = [{"op": "add", "path": path, "value": QUICK}]
    return (json.dumps({"target": {"kind": kind, "name": "worker"}, "patch": json.dumps(operation)}),)


@pytest.fixture
def scaled(request: pytest.FixtureRequest) -> Iterator[Kubernetes]:
    component, kind, path = request.param
    if why := cluster():
        pytest.skip(why)
    target = Kubernetes(components=(component,), patches=quick(kind, path))
    if component == "autoscaling-keda" and "keda.sh" not in target.run("api-versions").stdout:
        pytest.skip("the cluster has no KEDA")
    yield from brought_up(target, request)


def workers(stack: Kubernetes) -> int:
    return len(stack.pods("worker"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "scaled",
    [
        (
            "autoscaling-keda",
            "ScaledObject",
            "/spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown",
        )
    ],
    indirect=True,
)
def test_keda_brings_workers_with_the_queue_and_takes_none_that_is_needed(scaled: Kubernetes) -> None:
    api = Client(scaled.base_url, scaled.api_token)
    wait_until(lambda: workers(scaled) == 1, 120)
    runs, begun = Runs(api, "sleep"), time.monotonic()
    # The last six are long: they run when most workers have nothing left to do and are taken away.
    tasks = [api.submit("sleep", seconds) for seconds in [15] * 34 + [40] * 6]
    wait_until(lambda: workers(scaled) >= 5, 180)
    print(f"1 to 5 workers after {time.monotonic() - begun:.0f} s")

    most = 0

    def fewer_at_work() -> bool:
        nonlocal most
        count = workers(scaled)
        most = max(most, count)
        return count < most and api.get("/api/queues").json()["unacknowledged"] > 0

    wait_until(fewer_at_work, 300)
    print(f"{most} workers at most, and fewer while tasks still ran, after {time.monotonic() - begun:.0f} s")
    assert {api.done(task_id, within=400)["state"] for task_id in tasks} == {"SUCCESS"}
    ended = time.monotonic()
    wait_until(lambda: workers(scaled) == 1, 240)
    print(f"1 worker again {time.monotonic() - ended:.0f} s after the last task")
    assert runs.since() == 40


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "scaled", [("autoscaling-hpa", "HorizontalPodAutoscaler", "/spec/behavior/scaleDown")], indirect=True
)
def test_the_hpa_brings_workers_with_cpu_and_takes_them_away_after_it(scaled: Kubernetes) -> None:
    api = Client(scaled.base_url, scaled.api_token)
    wait_until(lambda: workers(scaled) == 2, 180)
    begun = time.monotonic()
    while workers(scaled) < 3:
        assert time.monotonic() - begun < 300, scaled.run("describe", "hpa", "worker").stdout
        # Twenty tasks of about a second of CPU each, whenever the workers have nearly done those before.
        waiting = sum(queue["waiting"] for queue in api.get("/api/queues").json()["queues"])
        if waiting < 10:
            body = {"name": "add", "range": [0, 1_000_000], "size": 50_000}
            assert api.call("POST", "/api/canvas/chunks", json=body).status_code == 202
        time.sleep(2)
    print(f"2 to 3 workers after {time.monotonic() - begun:.0f} s")

    ended = time.monotonic()
    wait_until(lambda: workers(scaled) == 2, 300)
    print(f"2 workers again {time.monotonic() - ended:.0f} s after the load")
