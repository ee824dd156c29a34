"""`make down TARGET=k8s`: what it takes away, in which order, and what it keeps."""

import re

from checkout import ROLES
from kube import PART_OF, WITH_OVERLAY, found, kubectl, objects, of_role, reference, space, workloads

# Kinds by kubectl's word, in this order. All others stay: the namespace, the Secret and whoever makes it (a Job's
# account and its rights; of a SealedSecret or an ExternalSecret the Secret would go with it), claims and volumes.
SCALERS = ("scaledobject", "triggerauthentication", "horizontalpodautoscaler")  # or they would start what was stopped
WORKLOADS = ("deployment", "job", "cronjob")  # then these and their pods: a worker requeues in a Redis that answers
REST = ("statefulset", "service", "configmap", "poddisruptionbudget", "networkpolicy", "ingress", "httproute")


def down() -> None:
    """Delete what the overlay renders of these kinds, by name: others in the namespace may carry the same labels."""
    served = kubectl("api-resources", "--namespaced", "-o", "name").split()
    kinds = {name.partition(".")[0] for name in served}
    stale = old_configuration()
    for group in (SCALERS, WORKLOADS, REST):
        names = [reference(item) for kind in group for item in objects() if item["kind"].lower() == kind]
        # A kind that the cluster does not know has no objects, and kubectl would refuse the whole list.
        names = [name for name in names if plural(name.partition("/")[0]) in kinds]
        if group is REST:
            names += stale
        if names:
            # In the foreground: it returns when the pods are gone, not when nobody wants them any more.
            done = kubectl(*space(), "delete", *names, "--cascade=foreground", "--ignore-not-found")
            print(done, end="", flush=True)
    for name in left():
        print(f"{name} is not in the overlay and stays; to delete it: kubectl {' '.join(space())} delete {name}")
    print(f"the volumes and the Secret are kept: make up {WITH_OVERLAY} finds them again")


def plural(kind: str) -> str:
    """A kind as the API names it in its addresses."""
    return {"y": f"{kind[:-1]}ies", "s": f"{kind}es"}.get(kind[-1], f"{kind}s")


def old_configuration() -> list[str]:
    """ConfigMaps of earlier applies: each change of a configuration made one under a name of its own."""
    names = [item["metadata"]["name"] for item in objects() if item["kind"] == "ConfigMap"]
    stems = {name[:-11] for name in names if re.fullmatch(r".+-[a-z0-9]{10}", name)}
    ours = [item["metadata"]["name"] for item in found("configmap", "-l", PART_OF)] if stems else []
    return [f"configmap/{name}" for name in ours if name[:-11] in stems and name not in names]


def left() -> list[str]:
    """Workloads that an earlier overlay had; one of another instance of the stack has another prefix."""
    ours = {reference(item) for item in workloads()}
    prefix = (of_role("web") or {"metadata": {"name": "web"}})["metadata"]["name"].partition("web")[0]
    roles = "|".join((*ROLES, "redis", "db", "cache"))
    there = map(reference, found("deployment,statefulset", "-l", PART_OF))
    return [name for name in there if name not in ours and re.fullmatch(rf".*/{prefix}({roles})(-.*)?", name)]
