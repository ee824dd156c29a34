"""Put a new version of the image into a running compose stack: no request fails, no task is lost or repeated.

python3 deploy/rollout.py               build, migrate, then workers, web, beat, Flower: `make deploy TARGET=compose`
python3 deploy/rollout.py --rollback    back to the version before; migrations stay
"""

import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import proxy
from checkout import Stop
from containers import alone, containers, docker, image_id, image_name, images, inspect, with_further

# In the order in which they are replaced. Workers come first: from the new web on there may be tasks that an old
# worker does not know.
ROLES = ("worker", "web", "beat", "flower")
START_WITHIN = 120  # seconds for a new container to become healthy


def say(text: str) -> None:
    print(text, flush=True)


def roll(role: str) -> None:
    """New containers beside the old, and once they are healthy the old ones stop in order.

    Raises:
        Stop: a new one does not become healthy; the new ones are removed and the old ones still run.
    """
    # What an interrupted deploy left stopped counts in --scale, and would be started as if it were new.
    docker("compose", "rm", "--force", role)
    old = containers(role)
    if not old:
        raise Stop(f"{role} does not run: docker compose up -d --wait")
    # Where such a deploy left both versions running, there were as many as run of one of them.
    count = max(Counter(inspect(container)["Image"] for container in old).values())
    say(f"{role}: {count} new beside {len(old)} old ...")
    try:
        start_beside(role, old, count)
        # Docker waits for each as long as STOP_GRACE says: a worker finishes its tasks or requeues them,
        # a beat gives up its lock and a new one has it within two seconds.
        docker("stop", *old)
        docker("rm", *old)
    finally:
        if role == "web":
            proxy.ready()


def start_beside(role: str, old: list[str], count: int) -> None:
    """Start `count` new containers of a role and lead the work to them; whatever goes wrong, none of them is left."""
    try:
        if role == "web":
            proxy.hold()
        docker("compose", "up", "-d", "--no-deps", "--no-recreate", "--scale", f"{role}={len(old) + count}", role)
        new = [container for container in containers(role) if container not in old]
        wanted = image_id(image_name())
        if len(new) != count or any(inspect(container)["Image"] != wanted for container in new):
            raise Stop(f"{len(new)} new containers of {role} started, not {count} of the image {image_name()}")
        wait_healthy(new)
        if role == "web":
            proxy.lead(new, old)
    except BaseException as error:
        if new := [container for container in containers(role, stopped=True) if container not in old]:
            remove(role, new)
        if isinstance(error, Stop):
            raise Stop(f"{error}\n{role}: the new ones are removed, the old ones run on.") from None
        raise


def remove(role: str, new: list[str]) -> None:
    """End containers in order, since they may have a request or a task by now, and take them away.

    Not by `docker stop`: one that is just starting is deaf to its signal, which is then never sent again.
    """
    try:
        if role == "web":
            proxy.drain(new)
        # As long as Docker would wait, STOP_GRACE: a worker requeues what it runs shortly before that.
        end = time.monotonic() + max(inspect(container)["Config"].get("StopTimeout") or 60 for container in new)
        while time.monotonic() < end and (running := [c for c in new if inspect(c)["State"]["Running"]]):
            with suppress(Stop):  # it ended in between
                docker("kill", "--signal", "TERM", *running)
            time.sleep(0.5)
    finally:
        docker("rm", "--force", *new)


def replace(role: str) -> None:
    """For Flower, which holds no work and one port on the host: stop the old one, start a new one.

    Raises:
        Stop: the new one does not become healthy; there is no old one any more.
    """
    say(f"{role}: replacing ...")
    docker("compose", "up", "-d", "--no-deps", "--force-recreate", role)
    try:
        wait_healthy(containers(role))
    except Stop as error:
        raise Stop(f"{error}\n{role} does not work; no task and no request needs it.") from None


def wait_healthy(new: list[str]) -> None:
    end = time.monotonic() + START_WITHIN
    while True:
        states = {container: inspect(container)["State"] for container in new}
        ill = [c for c, state in states.items() if state.get("Health", {}).get("Status") != "healthy"]
        if new and not ill:
            return
        failed = [container for container in ill if states[container]["Status"] in ("restarting", "exited", "dead")]
        if failed or time.monotonic() > end:
            command = ["docker", "logs", "--tail", "20", (failed or ill)[0]]
            log = subprocess.run(command, capture_output=True, text=True, check=False)
            raise Stop(f"the new version does not start:\n{log.stdout}{log.stderr}".strip())
        time.sleep(0.25)


def reload_users() -> None:
    """Make Redis and the cache read users.acl again; connections whose user changed log in anew."""
    # After a rotation of the operator's own password, the server knows one of the old ones only.
    script = (
        "cd /run/secrets && grep -hs '' {0} {0}.old | while read -r REDISCLI_AUTH; do "
        "export REDISCLI_AUTH; redis-cli {1} ACL LOAD </dev/null; done | grep -q OK"
    )
    # None where the Redis is somebody else's, or no cache is used.
    for service, words in (("redis", ("admin_password", "--user admin")), ("cache", ("cache_password", ""))):
        for container in containers(service):
            docker("exec", container, "sh", "-c", script.format(*words))


def deploy(rollback: bool) -> None:
    begun, name = time.monotonic(), image_name()
    if not containers("web"):
        raise Stop("the stack does not run: docker compose up -d --build --wait")
    old = old_version()
    # It loses its name now and its containers later; without another name any `docker image prune` would take it.
    docker("tag", old, f"{name}-replaced")
    try:
        new = change(name, old, rollback)
    finally:
        with suppress(Stop):  # one that still has a container, and no other name, keeps this one
            docker("rmi", f"{name}-replaced")
    # The one before the previous has no name any more; it goes, unless a container still uses it.
    with suppress(Stop):  # the engine refuses while somebody else prunes; what is left goes next time
        docker("image", "prune", "--force", "--filter", "label=org.opencontainers.image.title=django-celery-stack")
    say(f"{new[7:19]} runs everywhere after {time.monotonic() - begun:.0f} s")


def change(name: str, old: str, rollback: bool) -> str:
    """Replace every role; the image that runs then.

    Raises:
        Stop: it went wrong, or was interrupted; the text says what runs and what to do.
    """
    try:
        if rollback:
            docker("tag", version_before(name, old), name)
        else:
            say("building ...")
            docker("compose", "build", "--quiet")
        new = image_id(name)
        replace_all(migrate=not rollback)
    except BaseException as error:
        words = state(old, image_id(name))
        # A later `docker compose up` must not bring what just failed.
        docker("tag", old, name)
        raise Stop(f"{why(error)}\n{words}") from error
    if not rollback and new != old:
        docker("tag", old, f"{name}-previous")
    try:
        # No old one runs beside it, so there is nothing to go back to here; and it holds no work.
        replace("flower")
    except BaseException as error:
        back = "" if rollback else "; or go back: make deploy TARGET=compose ROLLBACK=1"
        words = f"Every other role runs the version you wanted. Mend the cause and: docker compose up -d flower{back}"
        raise Stop(f"{why(error)}\n{words}") from error
    return new


def why(error: BaseException) -> str:
    return "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)


def old_version() -> str:
    """The image of the role that is replaced last: the newest version that runs everywhere."""
    return next(image for role in reversed(ROLES) for image in images(role))


def version_before(name: str, old: str) -> str:
    """The image to go back to: the previous one or, where a deploy stopped half-way, the one that it was replacing.

    Raises:
        Stop: there is none.
    """
    running, previous = set().union(*map(images, with_further(ROLES))), image_id(f"{name}-previous")
    if len(running) > 1:
        return previous if previous in running else old
    if not previous or previous in running:
        why = "it is what runs" if previous else "no deploy has replaced one yet"
        raise Stop(f"there is no version to go back to: {name}-previous, {why}")
    return previous


def state(old: str, new: str) -> str:
    """Which role runs which version, and what to do now."""
    if old == new:
        return "Every role runs the version that it ran."
    words = {frozenset([old]): "the old version", frozenset([new]): "the new version", frozenset(): "nothing"}
    runs = "".join(f"  {role}: {words.get(frozenset(images(role)), 'both versions')}\n" for role in with_further(ROLES))
    return (
        f"What runs now:\n{runs}Both versions work together. Mend the cause and run `make deploy TARGET=compose` "
        "again, or have the old version everywhere: make deploy TARGET=compose ROLLBACK=1"
    )


def replace_all(migrate: bool) -> None:
    """Every role that works; Flower is left."""
    docker("compose", "run", "--rm", "-T", "--no-deps", "secrets")
    reload_users()
    if migrate:
        # Before any new code, and beside the old: a migration must fit both versions.
        say("applying migrations ...")
        docker("compose", "run", "--rm", "-T", "--no-deps", "migrate")
    for role in with_further(ROLES[:-1]):
        roll(role)


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--rollback"]):
        sys.exit(__doc__)
    # A CI job that is cancelled cleans up as Ctrl-C does, and so does one whose shell runs it in the background.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        with alone():
            deploy(rollback="--rollback" in sys.argv)
    except Stop as reason:
        sys.exit(str(reason))
