"""A new value for one key of the Secret on a cluster: `make rotate-secret TARGET=k8s`; cluster.py has the verb."""

import hashlib
import json
import re
import runpy
import secrets
import time

from checkout import PROJECT, Stop
from kube import READY_WITHIN, kubectl, namespace, rendered
from secret_readers import DATABASE_USERS, READERS

KEYS = runpy.run_path(str(PROJECT / "k8s" / "base" / "make_secrets.py"))["KEYS"]


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
    elif key == "cache_password":
        in_cache(space, f"s/ on / on #{digest(new)} /")
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
    if key == "cache_password":
        in_cache(space, f"s/ on #.* ~/ on #{digest(new)} ~/")
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


def in_cache(space: tuple[str, ...], change: str) -> None:
    """Change the file of the cache's user and have it read; its own password lets it do that and no more."""
    # Written over in place: the pod may read its users, and make none.
    script = (
        'read -r change && cd /run/redis && text=$(sed "$change" users.acl) && printf "%s\\n" "$text" > users.acl && '
        "REDISCLI_AUTH=$(cat /run/secrets/cache_password) redis-cli ACL LOAD"
    )
    answer = in_pod(space, "cache-0", script, change + "\n")
    if answer != "OK":
        raise Stop(f"the cache answers: {answer}")


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
