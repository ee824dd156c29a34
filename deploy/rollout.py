"""Put a new version of the image into a running compose stack: no request fails, no task is lost or repeated.

python3 deploy/rollout.py               build, migrate, then workers, web, beat, Flower: `make deploy TARGET=compose`
python3 deploy/rollout.py --no-build    the same with the image that is there
python3 deploy/rollout.py --rollback    back to the image before the last build; migrations stay
"""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ROLES = ("web", "worker", "beat", "flower")
START_WITHIN = 120  # seconds for a new container to become healthy
DRAIN_WITHIN = 40  # seconds for requests that run; `wait` holds one for 30 at most


class Stop(Exception):
    """A reason to stop with exit code 1; the text says in which state the stack is."""


def docker(*arguments: str, text: str | None = None) -> str:
    """The output of a docker command.

    Raises:
        Stop: it failed.
    """
    done = subprocess.run(["docker", *arguments], cwd=PROJECT, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"docker {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def containers(service: str) -> list[str]:
    """Ids of the service's containers that run."""
    return docker("compose", "ps", "-q", service).split()


def inspect(container: str) -> dict:
    return json.loads(docker("inspect", container))[0]


def say(text: str) -> None:
    print(text, flush=True)


def roll(role: str) -> None:
    """New containers beside the old, and once they are healthy the old ones stop in order.

    Raises:
        Stop: a new one does not become healthy; the new ones are removed and the old ones still run.
    """
    old = containers(role)
    if not old:
        raise Stop(f"{role} does not run: docker compose up -d --wait")
    say(f"{role}: {len(old)} new beside {len(old)} old ...")
    new = []
    try:
        docker("compose", "up", "-d", "--no-deps", "--no-recreate", "--scale", f"{role}={2 * len(old)}", role)
        new = [container for container in containers(role) if container not in old]
        wait_healthy(new)
        slots = drain(old, new) if role == "web" else []
    except Stop:
        if new:
            docker("rm", "--force", *new)
        raise
    # Docker waits for each as long as STOP_GRACE says: a worker finishes its tasks or hands them back,
    # a beat gives up its lock and a new one has it within two seconds.
    docker("stop", *old)
    docker("rm", *old)
    for slot in slots:
        proxy(f"set server web/{slot} state ready")


def replace(role: str) -> None:
    """For Flower, which holds no work and one port on the host: stop the old one, start a new one."""
    say(f"{role}: replacing ...")
    docker("compose", "up", "-d", "--no-deps", "--force-recreate", role)
    wait_healthy(containers(role))


def wait_healthy(new: list[str]) -> None:
    end = time.monotonic() + START_WITHIN
    while True:
        states = {container: inspect(container)["State"] for container in new}
        if states and all(state.get("Health", {}).get("Status") == "healthy" for state in states.values()):
            return
        failed = [container for container, state in states.items() if state["Status"] == "restarting"]
        if failed or time.monotonic() > end:
            container = (failed or [c for c, s in states.items() if s.get("Health", {}).get("Status") != "healthy"])[0]
            log = subprocess.run(
                ["docker", "logs", "--tail", "20", container], capture_output=True, text=True, check=False
            )
            raise Stop(f"the new version does not start, the old one still runs:\n{log.stdout}{log.stderr}".strip())
        time.sleep(0.25)


def proxy(command: str) -> str:
    """The answer of HAProxy's own interface, which only listens inside the proxy's container."""
    script = 'exec 3<>/dev/tcp/127.0.0.1/9999; printf "%s\\n" "$1" >&3; cat <&3'
    return docker("exec", containers("proxy")[0], "bash", "-c", script, "bash", command)


def servers() -> dict[str, dict[str, str]]:
    """The proxy's view of each web container, by address; of those that are up."""
    lines = proxy("show stat").lstrip("# ").splitlines()
    return {
        row["addr"].rpartition(":")[0]: row
        for row in csv.DictReader(lines)
        if row["pxname"] == "web" and row.get("addr") and not row["status"].startswith("MAINT")
    }


def drain(old: list[str], new: list[str]) -> list[str]:
    """Send new requests to the new containers only, and wait until the old ones have answered theirs.

    Returns:
        list of str: the proxy's names of the old ones, to be made ready for whoever comes next.
    """
    if not containers("proxy"):
        return []
    end = time.monotonic() + 20
    while not all(servers().get(address(container), {}).get("status") == "UP" for container in new):
        if time.monotonic() > end:
            raise Stop("the proxy does not find the new web containers; the old ones still run")
        time.sleep(0.25)
    slots = {
        address(container): servers()[address(container)]["svname"]
        for container in old
        if address(container) in servers()
    }
    for slot in slots.values():
        proxy(f"set server web/{slot} state drain")
    end = time.monotonic() + DRAIN_WITHIN
    while any(int(row["scur"] or 0) for place, row in servers().items() if place in slots) and time.monotonic() < end:
        time.sleep(0.25)
    return list(slots.values())


def address(container: str) -> str:
    """The container's address where the proxy sees it."""
    networks = inspect(container)["NetworkSettings"]["Networks"]
    return next(network["IPAddress"] for name, network in networks.items() if name.endswith("_front"))


def reload_users() -> None:
    """Make Redis read users.acl again; connections whose user changed log in anew."""
    script = "REDISCLI_AUTH=$(cat /run/secrets/admin_password) redis-cli --user admin ACL LOAD | grep -q OK"
    old = script.replace("admin_password)", "admin_password.old)")
    # After a rotation of the operator's own password Redis still knows the old one only.
    docker("exec", containers("redis")[0], "sh", "-c", f"{script} || {old}")


def image() -> str:
    config = json.loads(docker("compose", "config", "--format", "json"))
    return config["services"]["web"]["image"]


def deploy(build: bool, rollback: bool) -> None:
    begun, name = time.monotonic(), image()
    if not containers("web"):
        raise Stop("the stack does not run: docker compose up -d --build --wait")
    previous = f"{name}-previous"
    if rollback:
        docker("image", "inspect", previous)
        docker("tag", previous, name)
    elif build:
        say("building ...")
        docker("compose", "build", "--quiet")
        docker("tag", inspect(containers("web")[0])["Image"], previous)
        # The one before loses its name here; it goes, unless a container still uses it.
        docker("image", "prune", "--force", "--filter", "label=org.opencontainers.image.title=django-celery-stack")
    running = inspect(containers("web")[0])["Image"]
    try:
        replace_all(migrate=not rollback)
    except Stop:
        # A later `docker compose up` must not bring what just failed.
        docker("tag", running, name)
        raise
    say(f"{inspect(containers('web')[0])['Image'][7:19]} runs everywhere after {time.monotonic() - begun:.0f} s")


def replace_all(migrate: bool) -> None:
    docker("compose", "run", "--rm", "-T", "--no-deps", "secrets")
    reload_users()
    if migrate:
        # Before any new code, and beside the old: a migration must fit both versions.
        say("applying migrations ...")
        docker("compose", "run", "--rm", "-T", "--no-deps", "migrate")
    # Workers first: from the new web on there may be tasks that an old worker does not know.
    for role in ("worker", "web", "beat"):
        roll(role)
    replace("flower")


if __name__ == "__main__":
    options = set(sys.argv[1:])
    if options - {"--no-build", "--rollback"}:
        sys.exit(__doc__)
    try:
        deploy(build="--no-build" not in options, rollback="--rollback" in options)
    except Stop as reason:
        sys.exit(str(reason))
