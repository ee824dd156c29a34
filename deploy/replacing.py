"""New containers in the place of old ones, role by role: what rollout.py and rotate_secret.py are made of."""

import subprocess
import time
from collections import Counter
from contextlib import suppress

import proxy
from checkout import Stop
from containers import containers, docker, image_id, image_name, inspect

START_WITHIN = 300  # seconds for a new container to become healthy


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
    """Wait until each of these containers is healthy.

    Raises:
        Stop: one has ended, or START_WITHIN is over; the text has the end of its log.
    """
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
