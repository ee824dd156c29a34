"""Who says how many pods there are, the overlay or an autoscaler; what `make up TARGET=k8s` does where that changes.

An overlay with an autoscaler leaves `replicas` out of its Deployments. Where they had it, a client-side `apply` takes
the field away, and the API server then fills in 1: for some 20 s one pod does the work of all. kubectl takes away what
its annotation says it has applied, so `replicas` is taken out of that first.
"""

import json

from checkout import Stop
from kube import PART_OF, Object, found, kubectl, objects, reference, space, workloads

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")


def hand_over() -> None:
    """Prepare an `apply` of the overlay, so that none of its Deployments is without its pods for a moment.

    Raises:
        Stop: the overlay gives a Deployment both a number and an autoscaler.
    """
    fixed = {item["metadata"]["name"] for item in workloads("Deployment") if "replicas" in item["spec"]}
    for item in objects():
        if item["kind"] in SCALERS and (name := target_of(item)) in fixed:
            raise Stop(
                f"deployment/{name} has both `replicas` and {reference(item)}, and each apply would set the number "
                "back: take one of the two out of your overlay"
            )
    free = [reference(item) for item in workloads("Deployment") if "replicas" not in item["spec"]]
    for item in found(*free) if free else ():
        release(item)
    if fixed:
        take_back(fixed)


def release(item: Object) -> None:
    """Have the next client-side `apply` leave the number of pods of a Deployment as it is."""
    applied = json.loads(item["metadata"].get("annotations", {}).get(APPLIED) or "{}")
    if "replicas" not in applied.get("spec", {}):
        return
    del applied["spec"]["replicas"]
    # With the version that was read: who changes the object meanwhile is not overwritten, but named.
    metadata = {
        "resourceVersion": item["metadata"]["resourceVersion"],
        "annotations": {APPLIED: json.dumps(applied, separators=(",", ":")) + "\n"},
    }
    patch = json.dumps({"metadata": metadata})
    kubectl(*space(), "patch", reference(item), "--type=merge", "--patch-file", "/dev/stdin", text=patch)
    print(f"{reference(item)} keeps its {item['spec'].get('replicas', 1)} pods until its autoscaler speaks")


def take_back(fixed: set[str]) -> None:
    """Delete the stack's autoscalers of Deployments that have a number again, or they would change it at once."""
    kinds = ["hpa"]
    if "keda.sh/" in kubectl("api-versions"):
        kinds.insert(0, "scaledobject")  # first, or KEDA would make its hpa anew
    part_of = {item["metadata"].get("labels", {}).get(PART_OF) for item in workloads("Deployment")} - {None}
    for kind in kinds:
        for item in found(kind, "-l", f"{PART_OF} in ({','.join(sorted(map(str, part_of)))})") if part_of else ():
            if target_of(item) in fixed and not item["metadata"].get("ownerReferences"):
                print(f"the overlay has no {kind}/{item['metadata']['name']} any more, and a number of pods:")
                print(kubectl(*space(), "delete", kind, item["metadata"]["name"], "--ignore-not-found"), end="")


def target_of(scaler: Object) -> str:
    """The name of the Deployment that an autoscaler scales; empty where it scales something else."""
    target = scaler["spec"]["scaleTargetRef"]
    return target["name"] if target.get("kind", "Deployment") == "Deployment" else ""
