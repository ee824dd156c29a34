"""What the verbs take for theirs on a shared cluster. No pod of these stacks finds a node, so they cost nothing."""

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.k8s import CHECKOUT, Kubernetes
from tests.verbs import Verbs

NOWHERE = json.dumps(
    {
        "target": {"kind": "Deployment|StatefulSet|Job"},
        "patch": json.dumps([{"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"no": "where"}}]),
    }
)
FOUR = json.dumps(
    {
        "target": {"kind": "Deployment", "name": "web|worker"},
        "patch": json.dumps([{"op": "add", "path": "/spec/replicas", "value": 4}]),
    }
)
README = CHECKOUT / "k8s/components/autoscaling-hpa/README.md"


@pytest.fixture
def idle() -> Iterator[Kubernetes]:
    target = Kubernetes(patches=(NOWHERE, FOUR))
    try:
        target.kubectl("apply", "-k", str(target.overlay))
        yield target
    finally:
        target.remove()


def with_autoscaler(stack: Kubernetes) -> None:
    stack.components, stack.patches = (*stack.components, "autoscaling-hpa"), [NOWHERE]
    stack.write()


def wanted(stack: Kubernetes) -> list[int]:
    return [stack.replicas(role) for role in ("web", "worker")]


def prepared(stack: Kubernetes) -> str:
    """The step of `make up` before its `apply`."""
    code = "import sys; sys.path.insert(0, 'deploy'); import replicas; replicas.hand_over()"
    env = stack.env | {"OVERLAY": str(stack.overlay)}
    done = subprocess.run(["python3", "-c", code], cwd=CHECKOUT, env=env, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("way", ["make", pytest.param("kubectl", marks=pytest.mark.slow)])
def test_an_autoscaler_comes_and_the_number_of_pods_stays(idle: Kubernetes, way: str) -> None:
    with_autoscaler(idle)
    if way == "make":
        assert "deployment/web keeps its 4 pods until its autoscaler speaks" in prepared(idle)
        idle.kubectl("apply", "-k", str(idle.overlay))
    else:
        block = re.findall(r"^```\n(for role.*?)```$", README.read_text(), re.MULTILINE | re.DOTALL)[0]
        script = block.replace("django-celery-stack", idle.namespace).replace("k8s/overlays/<yours>", str(idle.overlay))
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=idle.env, check=True, capture_output=True)
    assert wanted(idle) == [4, 4]
    idle.kubectl("apply", "-k", str(idle.overlay))
    assert wanted(idle) == [4, 4]

    idle.components, idle.patches = idle.components[:-1], [NOWHERE, FOUR]
    idle.write()
    assert "the overlay has no hpa/worker any more, and a number of pods" in prepared(idle)
    idle.kubectl("apply", "-k", str(idle.overlay))
    assert idle.kubectl("get", "hpa", "-o", "name") == ""
    assert wanted(idle) == [4, 4]


@pytest.mark.slow
def test_another_owner_of_the_number_keeps_it_in_a_server_side_apply(idle: Kubernetes) -> None:
    idle.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(idle.overlay))
    (block,) = re.findall(r"^```bash\n(.*?)```$", README.read_text(), re.MULTILINE | re.DOTALL)
    subprocess.run(["bash", "-c", block.replace("django-celery-stack", idle.namespace)], env=idle.env, check=True,
                   capture_output=True)  # fmt: skip
    with_autoscaler(idle)
    idle.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(idle.overlay))
    # Of web nobody has taken the number over, and there is the dip that the README speaks of.
    assert wanted(idle) == [1, 4]


def test_a_number_and_an_autoscaler_at_once_are_refused(idle: Kubernetes) -> None:
    with_autoscaler(idle)
    idle.patches.append(FOUR)
    idle.write()
    done = Verbs(CHECKOUT, idle.env | {"OVERLAY": str(idle.overlay)}, "k8s")("up")
    assert done.returncode != 0
    assert "deployment/web has both `replicas` and horizontalpodautoscaler/web" in done.stderr


def test_down_takes_nothing_of_others_in_the_namespace(idle: Kubernetes) -> None:
    second = idle.overlay.parent / "second"
    second.mkdir()
    text = json.loads((idle.overlay / "kustomization.yaml").read_text())
    text["components"].remove("../../components/namespace")
    (second / "kustomization.yaml").write_text(json.dumps(text | {"namePrefix": "shop-"}))
    idle.kubectl("apply", "-k", str(second))
    idle.kubectl("create", "deployment", "billing", "--image=redis:8-trixie", "--replicas=0")
    idle.kubectl("label", "deployment", "billing", "app.kubernetes.io/part-of=django-celery-stack")

    def left() -> set[str]:
        kinds = "deployment,statefulset,job,service,configmap,poddisruptionbudget,networkpolicy"
        return set(idle.kubectl("get", kinds, "-o", "name").split())

    before = left()
    done = Verbs(CHECKOUT, idle.env | {"OVERLAY": str(idle.overlay)}, "k8s")("down")
    assert done.returncode == 0, done.stderr

    others = {name for name in before if "/shop-" in name or name.endswith(("/billing", "/kube-root-ca.crt"))}
    assert left() == others
    assert len(others) > 15
    assert "make up TARGET=k8s OVERLAY=" in done.stdout
    assert idle.kubectl("get", "persistentvolumeclaim", "-o", "name").split()
