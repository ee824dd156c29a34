"""The stack on the cluster of KUBECONFIG: `make up|down TARGET=k8s`, `make rotate-secret TARGET=k8s`.

python3 deploy/cluster.py up              apply the manifests, wait until all is ready, prove one task
python3 deploy/cluster.py down            delete the workloads; volumes and the Secret stay, together
python3 deploy/cluster.py rotate [key]    a new random value for one key of the Secret, or the list of keys

OVERLAY is the folder that is applied; the default is k8s.
"""

import sys

from checkout import Stop
from cluster_down import down
from cluster_secrets import own_keys, rotate
from kube import (
    OVERLAY,
    READY_WITHIN,
    WITH_OVERLAY,
    a_pod,
    is_ready,
    kubectl,
    meant,
    objects,
    of_role,
    pods,
    reference,
    role_of,
    secret_name,
    space,
    workloads,
)
from replicas import hand_over


def up() -> None:
    hand_over()
    for job in workloads("Job"):
        # A Job cannot be changed, and this one must run again where a key is missing. It writes all or nothing.
        if role_of(job) == "make-secrets":
            kubectl(*space(), "delete", reference(job), "--cascade=foreground", "--ignore-not-found")
    print(kubectl("apply", "-k", OVERLAY), end="")
    for name in map(reference, workloads()):
        print(f"waiting for {name.partition('/')[2]} ...", flush=True)
        try:
            kubectl(*space(), "rollout", "status", name, f"--timeout={READY_WITHIN}s")
        except Stop as reason:
            raise Stop(f"{reason}\n{story()}\nk8s/README.md: It does not start") from None
    said, web = {}, a_pod("web")
    for module in ("proof", "unserved", "web"):
        command = ("env", "PYTHONPATH=app", "python", "-m", f"stack.ops.{module}")
        said[module] = kubectl(*space(), "exec", web, "-c", "app", "--", *command)
    print(said["proof"] + said["unserved"], end="")
    text = " ".join(("kubectl", *space()))
    print(f"""
  page      {text} port-forward {service("web")} 8000        http://127.0.0.1:8000{said["web"].strip()}
  token     {text} get secret {secret_name()} -o jsonpath='{{.data.api_token}}' | base64 -d""")
    if of_role("flower"):
        print(f"  Flower    {text} port-forward {service('flower')} 5555     http://127.0.0.1:5555/   "
              "user flower, key flower_password of that Secret")  # fmt: skip
    print(f"  next      make status {WITH_OVERLAY}   (logs, shell, manage)\n  stop      make down {WITH_OVERLAY}\n")


def service(role: str) -> str:
    """The overlay's Service of a role; an overlay may give its name a prefix."""
    for item in objects():
        if item["kind"] == "Service" and item["spec"].get("selector", {}).get("app.kubernetes.io/name") == role:
            return reference(item)
    return f"service/{role}"


def story() -> str:
    """What an operator would look at: the pods, the last events, the end of the log of each pod that is not ready."""
    ours = [pod for each in pods().values() for pod in each]
    names = [pod["metadata"]["name"] for pod in ours]
    events = kubectl(*space(), "get", "events", "--sort-by=.lastTimestamp").splitlines()
    # Of the pods, and of what makes them.
    about = [*map(reference, workloads("Deployment", "StatefulSet", "Job")), *(f"pod/{name}" for name in names)]
    told = [
        kubectl(*space(), "get", "pods", *names) if names else "there are no pods",
        *[line for line in events if any(name in line for name in about)][-15:],
    ]
    for pod in ours:
        if pod["status"]["phase"] != "Succeeded" and not is_ready(pod):
            name = pod["metadata"]["name"]
            told.append(f"--- the end of {name}'s log")
            try:
                logs = ("logs", name, "--all-containers", "--ignore-errors", "--prefix", "--tail=15")
                told.append(kubectl(*space(), *logs))
            except Stop as reason:  # a container that never started has none
                told.append(str(reason).splitlines()[-1])
    return "\n".join(told)


def main() -> None:
    try:
        if sys.argv[1:]:
            print(meant(), file=sys.stderr, flush=True)
        match sys.argv[1:]:
            case ["up"]:
                up()
            case ["down"]:
                down()
            case ["rotate", key] if not key.startswith("-"):
                rotate(key)
            case ["rotate"]:
                print("\n".join(own_keys()))
            case _:
                sys.exit(__doc__)
    except Stop as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
