"""The stack on the cluster of KUBECONFIG: `make up|down TARGET=k8s`, `make rotate-secret TARGET=k8s`.

python3 deploy/cluster.py up              apply the manifests, wait until all is ready, prove one task
python3 deploy/cluster.py down            delete the workloads; volumes and the Secret stay, together
python3 deploy/cluster.py rotate [key]    a new random value for one key of the Secret, or the list of keys

OVERLAY is the folder that is applied; the default is k8s.
"""

import hashlib
import json
import os
import re
import runpy
import secrets
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
OVERLAY = os.environ.get("OVERLAY") or "k8s"
OTHER = "" if OVERLAY == "k8s" else f" OVERLAY={OVERLAY}"  # as every verb has to be told
READY_WITHIN = 300  # seconds for a role to become ready: it may wait for a volume or for a large log of Redis
# What a `down` takes away, in this order. Not among it: the namespace, the Secret and who makes it, the volumes.
SCALERS = ("scaledobject", "triggerauthentication", "hpa")  # first, or they would start what was stopped
WORKLOADS = ("deployment", "job")  # then these and their pods: a worker hands its tasks back to a Redis that answers
REST = ("statefulset", "service", "configmap", "poddisruptionbudget", "networkpolicy", "ingress")
# Which roles read a key that is not one role's own; Redis and KEDA take theirs from the Secret themselves.
READERS = {
    "secret_key": ("web", "worker", "beat"),
    "database_password": ("web", "worker"),
    "api_token": ("web",),
    "flower_password": ("flower",),
}
KEYS = runpy.run_path(str(PROJECT / "k8s" / "base" / "make_secrets.py"))["KEYS"]
DATABASE_USERS = {"database_password": "app", "postgres_password": "postgres"}


class Stop(Exception):
    """A reason to stop with exit code 1."""


def kubectl(*arguments: str, text: str | None = None) -> str:
    """The output of kubectl in the stack's namespace.

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


@cache
def rendered() -> str:
    """The overlay's objects, as text."""
    return kubectl("kustomize", OVERLAY)


def namespace() -> str:
    """The namespace of the overlay's objects."""
    return re.findall(r"^  namespace: (\S+)$", rendered(), re.MULTILINE)[0]


def up() -> None:
    space = ("--namespace", namespace())
    print(kubectl("apply", "-k", OVERLAY), end="")
    for name in kubectl(*space, "get", "statefulset,deployment", "-o", "name").split():
        print(f"waiting for {name.partition('/')[2]} ...", flush=True)
        try:
            kubectl(*space, "rollout", "status", name, f"--timeout={READY_WITHIN}s")
        except Stop as reason:
            raise Stop(f"{reason}\n{story(space)}\nk8s/README.md: It does not start") from None
    proof = ("env", "PYTHONPATH=app", "python", "-m", "stack.ops.proof")
    print(kubectl(*space, "exec", "deployment/web", "-c", "app", "--", *proof), end="")
    text = " ".join(("kubectl", *space))
    print(f"""
  page      {text} port-forward service/web 8000        http://127.0.0.1:8000/
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


def rotate(key: str) -> None:
    """Redis knows old and new until nobody uses the old one; PostgreSQL knows one password only.

    Raises:
        Stop: there is no such key, or a step failed; the text says which.
    """
    space = ("--namespace", namespace())
    keys = own_keys(space)
    if key not in keys:
        raise Stop(f"{key!r} is no key of the stack's own; those are: {', '.join(keys)}")
    user, new = key.removesuffix("_redis_password"), secrets.token_urlsafe(50)
    # Before the Secret changes: it may hold the only copy of a password that somebody else's server knows.
    if key in DATABASE_USERS:
        in_database(space, "SELECT 1;")
    elif user != key:
        in_redis(space, f"ACL SETUSER {user} #{digest(new)}")
    patch = json.dumps({"stringData": {key: new}})
    kubectl(*space, "patch", "secret", "app-secrets", "--patch-file", "/dev/stdin", text=patch)
    if key in DATABASE_USERS:
        # PostgreSQL knows one password: until the roles are new, a new connection of theirs fails.
        in_database(space, f"ALTER ROLE {DATABASE_USERS[key]} PASSWORD '{new}';")
    restart(space, READERS.get(key, (user,)))
    if key == "admin_redis_password":
        print("waiting until the pod of Redis sees the new password, which takes up to two minutes ...", flush=True)
        wait_for_file(space, digest(new))
    if user != key:
        # All others go, those too that a rotation left which failed half-way.
        in_redis(space, f"ACL SETUSER {user} resetpass #{digest(new)}")
    print(f"{key} is new, and the old one is worth nothing")


def own_keys(space: tuple[str, ...]) -> list[str]:
    """The keys of the Secret that this stack knows the use of; yours may hold others."""
    data = json.loads(kubectl(*space, "get", "secret", "app-secrets", "-o", "json"))["data"]
    return sorted(data.keys() & set(KEYS))


def restart(space: tuple[str, ...], roles: tuple[str, ...]) -> None:
    """Roll out anew every Deployment of these roles, those of further queues too, all at once; wait for the last of
    the old pods, since those that are stopping still use what they were started with."""
    old, names, grace = [], [], 0
    # Those that were evicted or have ended stay in the list for ever.
    alive = "--field-selector=status.phase!=Failed,status.phase!=Succeeded"
    for item in json.loads(kubectl(*space, "get", "deployment", "-o", "json"))["items"]:
        labels = item["spec"]["selector"]["matchLabels"]
        if labels.get("app.kubernetes.io/name") in roles:
            label = ",".join(f"{name}={value}" for name, value in labels.items())
            old += kubectl(*space, "get", "pods", "-l", label, alive, "-o", "name").split()
            grace = max(grace, item["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])
            names.append(f"deployment/{item['metadata']['name']}")
            print(f"restarting {names[-1]} ...", flush=True)
            kubectl(*space, "rollout", "restart", names[-1])
    for name in names:
        kubectl(*space, "rollout", "status", name, f"--timeout={READY_WITHIN}s")
    if old:
        kubectl(*space, "wait", "--for=delete", *old, f"--timeout={READY_WITHIN + grace}s")


def in_pod(space: tuple[str, ...], pod: str, script: str, text: str) -> str:
    """What a script in the pod of Redis or PostgreSQL says; the text goes over standard input, on no command line."""
    # A pod may be left of an overlay that had one: an `apply` takes nothing away.
    ours = rf"^kind: StatefulSet\nmetadata:\n(?:  .*\n)*?  name: {pod.partition('-')[0]}$"
    if not re.search(ours, rendered(), re.MULTILINE) or not kubectl(*space, "get", "pod", pod, "--ignore-not-found"):
        raise Stop(
            f"there is no pod {pod} that could be told the new password. If yours is a managed service, change "
            "the password at its provider, then edit the Secret app-secrets and restart who reads it"
        )
    return kubectl(*space, "exec", "-i", pod, "-c", "app", "--", "sh", "-c", script, text=text).strip()


def in_database(space: tuple[str, ...], statement: str) -> None:
    in_pod(space, "db-0", "exec psql -qU postgres -v ON_ERROR_STOP=1", statement)


def in_redis(space: tuple[str, ...], command: str) -> None:
    script = "REDISCLI_AUTH=$(cat /run/secrets/admin_redis_password) exec redis-cli --user admin"
    # Saved too: a container that starts again in this pod reads the file that the pod was started with.
    answer = in_pod(space, "redis-0", script, f"{command}\nACL SAVE\n")
    if answer.split() != ["OK", "OK"]:
        raise Stop(f"Redis answers: {answer}")


def wait_for_file(space: tuple[str, ...], wanted: str) -> None:
    """Wait until kubelet has put the changed Secret into the pod of Redis."""
    file = "/run/secrets/admin_redis_password"
    end = time.monotonic() + 180
    while kubectl(*space, "exec", "redis-0", "-c", "app", "--", "sha256sum", file).split()[0] != wanted:
        if time.monotonic() > end:
            raise Stop(
                "the pod of Redis still sees the old password; it takes both, so nothing is broken: run it again"
            )
        time.sleep(2)


def digest(password: str) -> str:
    """Redis's form of a password."""
    return hashlib.sha256(password.encode()).hexdigest()


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
