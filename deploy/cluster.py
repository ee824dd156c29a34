"""The stack on the cluster of KUBECONFIG: `make up|down TARGET=k8s`, `make rotate-secret TARGET=k8s`.

python3 deploy/cluster.py up              apply the manifests, wait until all is ready, prove one task
python3 deploy/cluster.py down            delete the workloads; volumes and the Secret stay, together
python3 deploy/cluster.py rotate [key]    a new random value for one key of the Secret, or the list of keys

OVERLAY is the folder that is applied; the default is k8s.
"""

import json
import sys

from checkout import Stop
from cluster_secrets import own_keys, rotate
from kube import OVERLAY, READY_WITHIN, kubectl, namespace

OTHER = "" if OVERLAY == "k8s" else f" OVERLAY={OVERLAY}"  # as every verb has to be told
# What a `down` takes away, in this order. Not among it: the namespace, the Secret and who makes it, the volumes.
SCALERS = ("scaledobject", "triggerauthentication", "hpa")  # first, or they would start what was stopped
WORKLOADS = ("deployment", "job")  # then these and their pods: a worker requeues its tasks in a Redis that answers
REST = ("statefulset", "service", "configmap", "poddisruptionbudget", "networkpolicy", "ingress")


def up() -> None:
    space = ("--namespace", namespace())
    print(kubectl("apply", "-k", OVERLAY), end="")
    for name in kubectl(*space, "get", "statefulset,deployment", "-o", "name").split():
        print(f"waiting for {name.partition('/')[2]} ...", flush=True)
        try:
            kubectl(*space, "rollout", "status", name, f"--timeout={READY_WITHIN}s")
        except Stop as reason:
            raise Stop(f"{reason}\n{story(space)}\nk8s/README.md: It does not start") from None
    said = {}
    for module in ("proof", "unserved", "web"):
        command = ("env", "PYTHONPATH=app", "python", "-m", f"stack.ops.{module}")
        said[module] = kubectl(*space, "exec", "deployment/web", "-c", "app", "--", *command)
    print(said["proof"] + said["unserved"], end="")
    text = " ".join(("kubectl", *space))
    print(f"""
  page      {text} port-forward service/web 8000        http://127.0.0.1:8000{said["web"].strip()}
  token     {text} get secret app-secrets -o jsonpath='{{.data.api_token}}' | base64 -d""")
    if kubectl(*space, "get", "deployment", "flower", "--ignore-not-found"):
        print(f"  Flower    {text} port-forward service/flower 5555     http://127.0.0.1:5555/   "
              "user flower, secret flower_password")  # fmt: skip
    print(f"  stop      make down TARGET=k8s{OTHER}\n")


def story(space: tuple[str, ...]) -> str:
    """What an operator would look at: the pods, the last events, the end of the log of each pod that is not ready."""
    pods = json.loads(kubectl(*space, "get", "pods", "-o", "json"))["items"]
    told = [
        kubectl(*space, "get", "pods"),
        *kubectl(*space, "get", "events", "--sort-by=.lastTimestamp").splitlines()[-15:],
    ]
    for pod in pods:
        states = pod["status"].get("containerStatuses", [{"ready": False}])
        if pod["status"]["phase"] != "Succeeded" and not all(state["ready"] for state in states):
            name = pod["metadata"]["name"]
            told.append(f"--- the end of {name}'s log")
            try:
                logs = ("logs", name, "--all-containers", "--ignore-errors", "--prefix", "--tail=15")
                told.append(kubectl(*space, *logs))
            except Stop as reason:  # a container that never started has none
                told.append(str(reason).splitlines()[-1])
    return "\n".join(told)


def down() -> None:
    space = ("--namespace", namespace())
    label = ("-l", "app.kubernetes.io/part-of=django-celery-stack")
    has_keda = "keda.sh" in kubectl("api-versions")
    scalers = [kind for kind in SCALERS if kind == "hpa" or has_keda]
    for kinds in (scalers, WORKLOADS, REST):
        # In the foreground: it returns when the pods are gone, not when nobody wants them any more.
        done = kubectl(*space, "delete", ",".join(kinds), *label, "--cascade=foreground", "--ignore-not-found")
        print(done, end="", flush=True)
    print(f"the volumes and the Secret are kept: make up TARGET=k8s{OTHER} finds them again")


def main() -> None:
    try:
        match sys.argv[1:]:
            case ["up"]:
                up()
            case ["down"]:
                down()
            case ["rotate", key] if not key.startswith("-"):
                rotate(key)
            case ["rotate"]:
                print("\n".join(own_keys(("--namespace", namespace()))))
            case _:
                sys.exit(__doc__)
    except Stop as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
