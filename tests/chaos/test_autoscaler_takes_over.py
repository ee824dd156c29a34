"""An autoscaler comes to a stack of four and four, and goes again: no moment has fewer. Needs metrics-server."""

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.conftest import brought_up
from tests.e2e.k8s import CHECKOUT, Kubernetes, cluster
from tests.verbs import Verbs
from tests.waiting import wait_until

FOUR = tuple(
    json.dumps(
        {
            "target": {"kind": "Deployment", "name": role},
            "patch": json.dumps([{"op": "add", "path": "/spec/replicas", "value": 4}]),
        }
    )
    for role in ("web", "worker")
)
HPA = "autoscaling-hpa"
Apply = Callable[[Kubernetes], None]


@pytest.fixture(scope="module")
def four(request: pytest.FixtureRequest) -> Iterator[Kubernetes]:
    if why := cluster():
        pytest.skip(why)
    target = Kubernetes(patches=FOUR)
    yield from brought_up(target, request)


@contextmanager
def numbers(stack: Kubernetes) -> Iterator[dict[str, set[tuple[int, int]]]]:
    """How many pods web and worker were to have, and how many were ready: each state that there was."""
    seen: dict[str, set[tuple[int, int]]] = {"web": set(), "worker": set()}
    form = '{.metadata.name} {.spec.replicas} {.status.readyReplicas}{"\\n"}'
    watch = ["kubectl", "-n", stack.namespace, "get", "deployment", "-w", "-o", f"jsonpath={form}"]
    with subprocess.Popen(watch, env=stack.env, stdout=subprocess.PIPE, text=True) as watched:

        def read() -> None:
            assert watched.stdout
            for line in watched.stdout:
                name, wanted, *ready = line.split()
                if name in seen:
                    seen[name].add((int(wanted), int(ready[0]) if ready else 0))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            wait_until(lambda: all(seen.values()), 20)
            yield seen
        finally:
            watched.terminate()
            reader.join()


def change(stack: Kubernetes, *components: str) -> None:
    """The overlay with an autoscaler in place of its numbers, or the other way round."""
    stack.components = (*[name for name in stack.components if name != HPA], *components)
    stack.patches = [] if components else list(FOUR)
    stack.write()


def scalers(stack: Kubernetes) -> list[str]:
    return stack.kubectl("get", "hpa", "-o", "name").split()


def by_make(stack: Kubernetes) -> None:
    done = Verbs(CHECKOUT, stack.env | {"OVERLAY": str(stack.overlay)}, "k8s")("up")
    assert done.returncode == 0, done.stdout + done.stderr


def by_hand(stack: Kubernetes) -> None:
    """As the README of the component says it, with kubectl alone."""
    text = (CHECKOUT / "k8s/components/autoscaling-hpa/README.md").read_text()
    (block,) = re.findall(r"^```\n(for role.*?)```$", text, re.MULTILINE | re.DOTALL)
    script = block.replace("django-celery-stack", stack.namespace).replace("k8s/overlays/<yours>", str(stack.overlay))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=stack.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def its_autoscaler_speaks(stack: Kubernetes) -> bool:
    """It has looked at the pods' CPU, and what it wants is not what they happen to be."""
    items = json.loads(stack.kubectl("get", "hpa", "-o", "json"))["items"]
    states = [{entry["type"]: entry["status"] for entry in item["status"].get("conditions", ())} for item in items]
    return len(states) == 2 and all(each.get("ScalingActive") == "True" for each in states)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("apply", [by_make, by_hand])
def test_an_autoscaler_takes_four_and_four_over_and_none_is_missed(four: Kubernetes, apply: Apply) -> None:
    with numbers(four) as seen:
        change(four, HPA)
        apply(four)
        wait_until(lambda: its_autoscaler_speaks(four), 120)
        four.kubectl("apply", "-k", str(four.overlay))  # and any later one leaves the number to it
        assert len(scalers(four)) == 2

        # The way back, before the autoscaler has taken one away, which it does after five minutes.
        change(four)
        by_make(four)
        assert scalers(four) == []
        for role in ("web", "worker"):
            four.wait_ready(role)
            assert four.replicas(role) == 4
    fewest = {
        role: (min(wanted for wanted, _ in states), min(ready for _, ready in states)) for role, states in seen.items()
    }
    assert fewest == {"web": (4, 4), "worker": (4, 4)}, seen
