"""Put a new version of the image into a running compose stack: no request fails, no task is lost or repeated.

python3 deploy/rollout.py               build, migrate, then workers, web, beat, Flower: `make deploy TARGET=compose`
python3 deploy/rollout.py --pull        the same with the image that a registry has, in place of a build
python3 deploy/rollout.py --rollback    back to the version before; migrations stay
"""

import signal
import sys
import time
from contextlib import suppress

from checkout import Stop
from containers import alone, containers, docker, image_id, image_name, images, with_further
from replacing import replace, roll, say

# In the order in which they are replaced. Workers come first: from the new web on there may be tasks that an old
# worker does not know.
ROLES = ("worker", "web", "beat", "flower")


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


def deploy(rollback: bool, pull: bool = False) -> None:
    begun, name = time.monotonic(), image_name()
    if not containers("web"):
        raise Stop("the stack does not run: docker compose up -d --build --wait")
    old = old_version()
    # It loses its name now and its containers later; without another name any `docker image prune` would take it.
    docker("tag", old, f"{name}-replaced")
    try:
        new = change(name, old, rollback, pull)
    finally:
        with suppress(Stop):  # one that still has a container, and no other name, keeps this one
            docker("rmi", f"{name}-replaced")
    # The one before the previous has no name any more; it goes, unless a container still uses it.
    with suppress(Stop):  # the engine refuses while somebody else prunes; what is left goes next time
        docker("image", "prune", "--force", "--filter", "label=org.opencontainers.image.title=django-celery-stack")
    say(f"{new[7:19]} runs everywhere after {time.monotonic() - begun:.0f} s")


def change(name: str, old: str, rollback: bool, pull: bool) -> str:
    """Replace every role; the image that runs then.

    Raises:
        Stop: it went wrong, or was interrupted; the text says what runs and what to do.
    """
    if pull:
        say(f"pulling {name} ...")
        try:
            docker("pull", "--quiet", name)
        except BaseException as error:  # the name is left to the registry: no old image gets it
            raise Stop(f"{why(error)}\nNothing was changed.") from error
    try:
        if rollback:
            docker("tag", version_before(name, old), name)
        elif not pull:
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
    if sys.argv[1:] not in ([], ["--pull"], ["--rollback"]):
        sys.exit(__doc__)
    # A CI job that is cancelled cleans up as Ctrl-C does, and so does one whose shell runs it in the background.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        with alone():
            deploy(rollback="--rollback" in sys.argv, pull="--pull" in sys.argv)
    except Stop as reason:
        sys.exit(str(reason))
