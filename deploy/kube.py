"""The stack on a cluster as kubectl sees it; what every verb with TARGET=k8s stands on.

What is ours is what the overlay renders: a namespace may hold the workloads of others, which carry what labels they
like, and an overlay may give every name a prefix. So nothing here knows a name, only the role that a label says.
"""

import json
import os
import subprocess
from functools import cache
from typing import Any

from checkout import PROJECT, Stop

# The folder that is applied, and what a message adds to a verb.
OVERLAY = os.environ.get("OVERLAY") or "k8s"
WITH_OVERLAY = "TARGET=k8s" if OVERLAY == "k8s" else f"TARGET=k8s OVERLAY={OVERLAY}"
READY_WITHIN = 300  # seconds for a role to become ready: it may wait for a volume or for a large log of Redis
NAME = "app.kubernetes.io/name"
PART_OF = "app.kubernetes.io/part-of"

Object = dict[str, Any]


def kubectl(*arguments: str, text: str | None = None) -> str:
    """The output of kubectl.

    Raises:
        Stop: it failed, or is not there.
    """
    try:
        done = subprocess.run(
            ["kubectl", *arguments], cwd=PROJECT, input=text, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise Stop("kubectl is not on PATH: install it, and point KUBECONFIG to your cluster") from None
    if done.returncode:
        raise Stop(f"kubectl {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def found(*arguments: str) -> list[Object]:
    """The objects that `kubectl get` finds; those that are not there are left out."""
    text = kubectl(*space(), "get", *arguments, "--ignore-not-found", "-o", "json")
    answer = json.loads(text or '{"items": []}')
    return answer.get("items", [answer])


@cache
def rendered() -> str:
    """The overlay's objects, as text."""
    return kubectl("kustomize", OVERLAY)


@cache
def objects() -> list[Object]:
    """The overlay's objects."""
    # Python reads no YAML by itself, and these verbs need nothing but it. `--local` asks no server; it takes an
    # annotation away that nobody has.
    text = kubectl("annotate", "--local", "-f", "-", "-o", "json", "none-", text=rendered())
    decoder, items, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        item, at = decoder.raw_decode(text, at)
        at += len(text[at:]) - len(text[at:].lstrip())
        items.append(item)
    return items


@cache
def namespace() -> str:
    """The namespace of the overlay's objects."""
    names = [item["metadata"]["namespace"] for item in objects() if item["metadata"].get("namespace")]
    if not names:
        raise Stop(f"{OVERLAY}/kustomization.yaml names no namespace: add the line `namespace: <name>`")
    return names[0]


def meant() -> str:
    """What a verb acts on: who forgets OVERLAY sees that it is another stack."""
    return f"{OVERLAY} in the namespace {namespace()}"


def space() -> tuple[str, str]:
    """kubectl's option for the stack's namespace."""
    return ("--namespace", namespace())


def workloads(*kinds: str) -> list[Object]:
    """The overlay's Deployments and StatefulSets, or its objects of other kinds that make pods."""
    return [item for item in objects() if item["kind"] in (kinds or ("Deployment", "StatefulSet"))]


def role_of(item: Object) -> str:
    """The role of a workload, which is the label `name` of its pods; `worker` for each of several queues, too."""
    return item["spec"]["template"]["metadata"].get("labels", {}).get(NAME, item["metadata"]["name"])


def of_role(role: str) -> Object | None:
    """The overlay's Deployment or StatefulSet of this role; of several the first."""
    return next((item for item in workloads() if role_of(item) == role), None)


def secret_name() -> str:
    """The Secret of the stack, which has the prefix of the overlay's names."""
    web = of_role("web")
    volumes = web["spec"]["template"]["spec"]["volumes"] if web else ()
    return next((each["secret"]["secretName"] for each in volumes if each["name"] == "secrets"), "app-secrets")


def reference(item: Object) -> str:
    """An object as kubectl's arguments name it."""
    return f"{item['kind'].lower()}/{item['metadata']['name']}"


def pods() -> dict[str, list[Object]]:
    """The pods of each workload and Job of the overlay, by its reference; not those on their way out."""
    ours = workloads("Deployment", "StatefulSet", "Job")
    names = sorted({role_of(item) for item in ours})
    sorted_out: dict[str, list[Object]] = {reference(item): [] for item in ours}
    for pod in found("pods", "-l", f"{NAME} in ({','.join(names)})"):
        if "deletionTimestamp" not in pod["metadata"] and (owner := owner_of(pod)) in sorted_out:
            sorted_out[owner].append(pod)
    return sorted_out


def owner_of(pod: Object) -> str:
    """The reference of the workload that made a pod, since labels may be the same for two instances of the stack."""
    owner = (pod["metadata"].get("ownerReferences") or [{"kind": "", "name": ""}])[0]
    kind, name = owner["kind"].lower(), owner["name"]
    if kind == "replicaset":
        return "deployment/" + name.removesuffix("-" + pod["metadata"]["labels"].get("pod-template-hash", ""))
    return f"{kind}/{name}"


def running(pod: Object) -> bool:
    """Whether the role's own container runs."""
    states = pod["status"].get("containerStatuses", ())
    return any(state["name"] == "app" and "running" in state["state"] for state in states)


def a_pod(role: str) -> str:
    """The name of a running pod of a role, one that is ready before one that is not.

    Raises:
        Stop: none runs; the text says what to do.
    """
    by_workload = pods()
    mine = [pod for item in workloads() if role_of(item) == role for pod in by_workload[reference(item)]]
    alive = [pod for pod in mine if running(pod)]
    if not alive:
        if not any(by_workload.values()):
            raise Stop(f"{meant()} is not up: make up {WITH_OVERLAY}")
        raise Stop(f"no pod of {role} runs: make status {WITH_OVERLAY}")
    return max(alive, key=is_ready)["metadata"]["name"]


def is_ready(pod: Object) -> bool:
    """Whether the cluster calls a pod ready."""
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in pod["status"].get("conditions", ()))
