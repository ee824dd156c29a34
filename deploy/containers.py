"""The compose stack as Docker sees it; what `rollout.py` and `rotate_secret.py` stand on."""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from checkout import PROJECT, Stop


def docker(*arguments: str, text: str | None = None) -> str:
    """The output of a docker command.

    Raises:
        Stop: it failed, or there is no Docker.
    """
    command = ["docker", *arguments]
    # The image is the one that is here: a pull would put the registry's in place of what was built or gone back to.
    env = os.environ | {"PULL_POLICY": "never"}
    try:
        done = subprocess.run(command, cwd=PROJECT, env=env, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Stop("there is no docker here") from None
    if done.returncode:
        raise Stop(f"docker {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def needs_engine(why: str) -> None:
    """Raises:
    Stop: no engine answers. The text begins with `why`, and ends with the last line of what Docker said.
    """
    try:
        docker("info")
    except Stop as reason:
        raise Stop(f"{why}: install Docker, or start it ({str(reason).splitlines()[-1]})") from None


def containers(service: str, stopped: bool = False) -> list[str]:
    """Ids of the service's containers that run, or of all."""
    return docker("compose", "ps", *["-a"][: int(stopped)], "-q", service).split()


def with_further(roles: tuple[str, ...]) -> list[str]:
    """These roles' services; with `worker` those workers too that run for queues of their own (docs/queues.md)."""
    running = sorted(docker("compose", "ps", "--services", "--filter", "status=running").split())
    further = [service for service in running if service.startswith("worker-")]
    return [service for role in roles for service in (role, *(further if role == "worker" else ()))]


def inspect(container: str) -> dict:
    return json.loads(docker("inspect", container))[0]


def images(service: str) -> set[str]:
    """Ids of the images that the service's containers run."""
    return {inspect(container)["Image"] for container in containers(service)}


def image_id(name: str) -> str:
    """The id of the image of this name, or an empty string."""
    try:
        return docker("image", "inspect", "--format", "{{.Id}}", name).strip()
    except Stop:
        return ""


def image_name() -> str:
    config = json.loads(docker("compose", "config", "--format", "json"))
    return config["services"]["web"]["image"]


@contextmanager
def alone() -> Iterator[None]:
    """Keep others from changing the stack meanwhile: two deploys at once would take each other's containers for old.

    The lock is on the project's folder, so it leaves no file behind and ends with the process.

    Raises:
        Stop: somebody else has it.
    """
    folder = os.open(PROJECT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stop("another deploy or rotation runs: wait until it has ended; nothing was changed") from None
        yield
    finally:
        os.close(folder)
