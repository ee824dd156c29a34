"""A new value for one key of the Secret on a cluster: `make rotate-secret TARGET=k8s`; cluster.py has the verb."""

import hashlib
import json
import runpy
import secrets
import time

from checkout import PROJECT, Stop
from kube import (
    NAME,
    READY_WITHIN,
    a_pod,
    kubectl,
    objects,
    of_role,
    pods,
    reference,
    role_of,
    secret_name,
    space,
    workloads,
)
from secret_readers import DATABASE_USERS, READERS

PROVIDER = "Change the password at its provider, then in the Secret, and restart who reads it"
JOB = runpy.run_path(str(PROJECT / "k8s" / "base" / "make_secrets.py"))


def rotate(key: str) -> None:
    """Redis knows old and new until nobody uses the old one; PostgreSQL knows one password only.

    Raises:
        Stop: there is no such key, or a step failed; the text says which.
    """
    keys = own_keys()
    if kinds().get(key) == "given":
        raise Stop(f"{key} is given. {PROVIDER}")
    if key not in keys:
        raise Stop(f"{key!r} is no key of the stack's own; those are: {', '.join(keys)}")
    refuse_others(key)
    user, new = key.removesuffix("_redis_password"), secrets.token_urlsafe(50)
    # Before the Secret changes: it may hold the only copy of a password that somebody else's server knows.
    if key in DATABASE_USERS:
        in_database("SELECT 1;")
    elif key == "cache_password":
        in_cache(f"s/ on / on #{digest(new)} /")
    elif user != key:
        in_redis(f"ACL SETUSER {user} #{digest(new)}")
    patch = json.dumps({"stringData": {key: new}})
    kubectl(*space(), "patch", "secret", secret_name(), "--patch-file", "/dev/stdin", text=patch)
    if key in DATABASE_USERS:
        # PostgreSQL knows one password: until the roles are new, a new connection of theirs fails.
        in_database(f"ALTER ROLE {DATABASE_USERS[key]} PASSWORD '{new}';")
    restart(READERS.get(key, (user,)))
    if key == "admin_redis_password":
        print("waiting until the pod of Redis sees the new password, which takes up to two minutes ...", flush=True)
        wait_for_file(digest(new))
    if key == "cache_password":
        in_cache(f"s/ on #.* ~/ on #{digest(new)} ~/")
    if user != key:
        # All others go, those too that a rotation left which failed half-way.
        in_redis(f"ACL SETUSER {user} resetpass #{digest(new)}")
    print(f"{key} is new, and the old one is worth nothing")


def own_keys() -> list[str]:
    """The keys that the overlay's pods read and the stack may make; your Secret may hold others."""
    return sorted(key for key, kind in kinds().items() if kind == "random" and key != JOB["ADDRESS"])


def kinds() -> dict[str, str]:
    """Each key of the Secret that the overlay's pods read, and whether it is `random` or `given`."""
    lists = [item for item in objects() if item["metadata"].get("labels", {}).get(NAME) == "secret-keys"]
    return {key: kind for item in lists for key, kind in item["data"].items()}


def refuse_others(key: str) -> None:
    """End where another writes the Secret: what is changed here, he would change back.

    Raises:
        Stop: somebody does, or the Secret lacks the key.
    """
    found = json.loads(kubectl(*space(), "get", "secret", secret_name(), "-o", "json"))
    if owner := JOB["owner_of"](found):
        raise Stop(f"the Secret {secret_name()} is {owner}: change {key} there, then restart who reads it")
    if key not in found.get("data", {}):
        raise Stop(f"the Secret {secret_name()} has no {key} yet: make up TARGET=k8s makes it")


def restart(roles: tuple[str, ...]) -> None:
    """Roll out anew every Deployment of these roles, those of further queues too, all at once; wait for the last of
    the old pods, since those that are stopping still use what they were started with."""
    ours = [item for item in workloads("Deployment") if role_of(item) in roles]
    names, there = [reference(item) for item in ours], pods()
    grace = max((item["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] for item in ours), default=0)
    # Those that were evicted or have ended stay in the list for ever.
    alive = [pod for name in names for pod in there[name] if pod["status"]["phase"] not in ("Failed", "Succeeded")]
    old = [f"pod/{pod['metadata']['name']}" for pod in alive]
    for name in names:
        print(f"restarting {name} ...", flush=True)
        kubectl(*space(), "rollout", "restart", name)
    for name in names:
        kubectl(*space(), "rollout", "status", name, f"--timeout={READY_WITHIN}s")
    if old:
        kubectl(*space(), "wait", "--for=delete", *old, f"--timeout={READY_WITHIN + grace}s")


def in_pod(name: str, script: str, text: str) -> str:
    """What a script in the pod of Redis or PostgreSQL says; the text goes over standard input, on no command line."""
    # A pod may be left of an overlay that had one: an `apply` takes nothing away.
    if not of_role(name):
        raise Stop(f"there is no {name} here that could be told the new password. {PROVIDER}")
    return kubectl(*space(), "exec", "-i", a_pod(name), "-c", "app", "--", "sh", "-c", script, text=text).strip()


def in_database(statement: str) -> None:
    in_pod("db", "exec psql -qU postgres -v ON_ERROR_STOP=1", statement)


def in_redis(command: str) -> None:
    script = "REDISCLI_AUTH=$(cat /run/secrets/admin_redis_password) exec redis-cli --user admin"
    # Saved too: a container that starts again in this pod reads the file that the pod was started with.
    answer = in_pod("redis", script, f"{command}\nACL SAVE\n")
    if answer.split() != ["OK", "OK"]:
        raise Stop(f"Redis answers: {answer}")


def in_cache(change: str) -> None:
    """Change the file of the cache's user and have it read; its own password lets it do that and no more."""
    # Written over in place: the pod may read its users, and make none.
    script = (
        'read -r change && cd /run/redis && text=$(sed "$change" users.acl) && printf "%s\\n" "$text" > users.acl && '
        "REDISCLI_AUTH=$(cat /run/secrets/cache_password) redis-cli ACL LOAD"
    )
    answer = in_pod("cache", script, change + "\n")
    if answer != "OK":
        raise Stop(f"the cache answers: {answer}")


def wait_for_file(wanted: str) -> None:
    """Wait until kubelet has put the changed Secret into the pod of Redis."""
    file = "/run/secrets/admin_redis_password"
    end = time.monotonic() + 180
    while kubectl(*space(), "exec", a_pod("redis"), "-c", "app", "--", "sha256sum", file).split()[0] != wanted:
        if time.monotonic() > end:
            raise Stop(
                "the pod of Redis still sees the old password; it takes both, so nothing is broken: run it again"
            )
        time.sleep(2)


def digest(password: str) -> str:
    """Redis's form of a password."""
    return hashlib.sha256(password.encode()).hexdigest()
