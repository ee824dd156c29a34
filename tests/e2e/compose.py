"""The compose runtime as a target: `docker compose up` in a private copy of the checkout."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import requests

from tests.e2e.supervisor import CHECKOUT, SHELL, copy_checkout, free_ports
from tests.e2e.targets import ended, refusals
from tests.waiting import wait_until

DOCKER = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "BUILDX_CONFIG")


def engine() -> str:
    """Why Docker cannot be used here, or an empty string."""
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no Docker engine answers ({error})"
    return "" if done.returncode == 0 else "no Docker engine answers (start one, or run ../shared/bin/docker-up)"


class Compose:
    """A project of its own: its name, its ports, its volumes, its images; `remove` takes all of it away."""

    api_token = ""
    keeps = True

    def __init__(self, **variables: str):
        self.root = copy_checkout()
        self.project = f"e2e{uuid.uuid4().hex[:8]}"
        web, flower = free_ports(2)
        self._address(f"127.0.0.1:{web}", f"127.0.0.1:{flower}")
        self.env |= {"COMPOSE_PROJECT_NAME": self.project, "TAG": self.project}
        # As its operator would: compose reads this file, and gives it to every role.
        (self.root / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))

    def _address(self, web: str, flower: str) -> None:
        self.env = {name: os.environ[name] for name in (*SHELL, *DOCKER) if name in os.environ}
        self.env |= {"WEB_BIND": web, "FLOWER_BIND": flower}
        self.base_url, self.flower_url = f"http://{web}", f"http://{flower}"

    # ---- The interface of a target

    @property
    def flower_password(self) -> str:
        return self.exec("flower", "cat", "/run/secrets/flower_password").strip()

    def up(self) -> None:
        # As the README has it: there is no image yet under this TAG, so it is built.
        self.compose("up", "-d", "--wait")

    def down(self) -> None:
        self.compose("down")

    def stop(self, role: str) -> None:
        self.compose("stop", role)

    def start(self, role: str) -> None:
        self.compose("start", role)
        self.wait_healthy(role)
        if role == "web":
            self.found()

    def restart(self, role: str) -> None:
        self.stop(role)
        self.start(role)

    def signal(self, role: str, name: str) -> None:
        # Not `docker kill`: after that the engine takes the container for stopped on purpose.
        for container in self.containers(role):
            pid = self.pid(container)
            os.kill(pid, signal.Signals[f"SIG{name}"])
            if name == "KILL":  # the engine hears of it a moment later, and calls it healthy until then
                wait_until(lambda container=container, pid=pid: self.pid(container) != pid, 10)  # type: ignore[misc]

    def scale(self, role: str, count: int) -> None:
        self.compose("up", "-d", "--no-deps", "--no-recreate", "--wait", "--scale", f"{role}={count}", role)

    def check(self, role: str, ready: bool = False) -> str | None:
        command = ["python", "app/service.py", "check", role, *["--ready"][: int(ready)]]
        done = self.run("docker", "exec", self.containers(role)[0], *command)
        return None if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"

    def lives(self) -> dict[str, int]:
        roles = ("web", "worker", "beat", "flower")
        return {container: self.pid(container) for role in roles for container in self.containers(role)}

    def logs(self, role: str | None = None) -> str:
        # Not `compose logs`, which paints; nor a pipe, which two streams would share out of order.
        return "".join(
            (done := self.run("docker", "logs", container)).stdout + done.stderr
            for container in self.containers(role, stopped=True)
        )

    def refused(self) -> list[str]:
        with self.redis() as admin:
            return refusals(admin)

    # ---- What only this target can do

    def run(self, *command: str, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the target's folder, as its operator would."""
        return ended(command, self.root, self.env | env, timeout)

    def popen(self, *command: str) -> subprocess.Popen[str]:
        """Start such a command, to be talked to."""
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.root, env=self.env, stdin=pipe, stdout=pipe, text=True)

    def compose(self, *arguments: str, **env: str) -> str:
        """`docker compose` with these arguments; its output, or an AssertionError with it."""
        done = self.run("docker", "compose", *arguments, **env)
        assert done.returncode == 0, f"docker compose {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def exec(self, role: str, *command: str, **options: Any) -> str:
        """The output of a command in the first container of a role, or an AssertionError with it."""
        done = self.run("docker", "exec", self.containers(role)[0], *command, **options)
        assert done.returncode == 0, f"{command} in {role} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def containers(self, role: str | None = None, stopped: bool = False) -> list[str]:
        """Ids of a role's containers, or of all, in the order of their making."""
        arguments = ["ps", "-q", "--no-trunc", *["-a"][: int(stopped)]]
        arguments += ["--filter", f"label=com.docker.compose.project={self.project}"]
        if role:
            arguments += ["--filter", f"label=com.docker.compose.service={role}"]
        return self.run("docker", *arguments).stdout.split()[::-1]

    def inspect(self, container: str) -> dict[str, Any]:
        return dict(json.loads(self.run("docker", "inspect", container).stdout)[0])

    def pid(self, container: str) -> int:
        """The container's PID 1 as this machine sees it."""
        return int(self.inspect(container)["State"]["Pid"])

    def inside(self, container: str, folder: str) -> Path:
        """A folder of a container as this machine sees it."""
        return Path("/proc", str(self.pid(container)), "root", folder)

    def health(self, container: str) -> str:
        state = self.inspect(container)["State"]
        return str(state.get("Health", {}).get("Status", state["Status"]))

    def wait_healthy(self, role: str, within: float = 60) -> None:
        def healthy() -> bool:
            states = [self.health(container) for container in self.containers(role)]
            assert set(states) == {"healthy"}, f"{role}: {states or 'no container runs'}"
            return True

        wait_until(healthy, within, every=0.5)

    def redis(self, user: str = "admin", password: str = "") -> Any:
        """A client, with the operator's rights where no other user is named.

        The network has no way out, but this machine is a part of it.
        """
        networks = self.inspect(self.containers("redis")[0])["NetworkSettings"]["Networks"]
        password = password or self.exec("redis", "cat", "/run/secrets/admin_password").strip()
        host = networks[f"{self.project}_broker"]["IPAddress"]
        return redis.Redis(host=host, username=user, password=password, decode_responses=True, socket_timeout=5)

    @contextmanager
    def restarted_with(self, role: str, line: str) -> Iterator[None]:
        """Run the block with one more variable in a role's environment."""
        name, _, value = line.partition("=")
        with tempfile.TemporaryDirectory(prefix="e2e") as folder:
            more = Path(folder, "more.yaml")
            more.write_text(json.dumps({"services": {role: {"environment": {name: value}}}}))
            files = ("-f", "compose.yaml", "-f", str(more))
            try:
                self._renew(role, *files)
                yield
            finally:
                self._renew(role)

    def _renew(self, role: str, *files: str) -> None:
        self.compose(*files, "up", "-d", "--no-deps", "--wait", role)
        self.found()

    def found(self) -> None:
        """Wait until the proxy has found a web that has just started."""

        def answers() -> bool:
            return all(requests.get(f"{self.base_url}/livez", timeout=5).status_code == 200 for _ in range(5))

        wait_until(answers, 30)

    def manage(self, *arguments: str) -> str:
        """The output of manage.py with the rights of the web role."""
        return self.exec("web", "python", "app/manage.py", *arguments)

    def redis_cli(self, *command: str) -> str:
        """The answer of redis-cli with the operator's rights."""
        script = 'REDISCLI_AUTH=$(cat /run/secrets/admin_password) exec redis-cli --user admin "$@"'
        return self.exec("redis", "sh", "-c", script, "redis-cli", *command).strip()

    def remove(self) -> None:
        """Take away everything of this project, and nothing else."""
        assert self.root != CHECKOUT
        try:
            for container in self.containers():
                self.run("docker", "kill", "--signal", "CONT", container)  # what a test froze cannot stop
            self.compose("down", "--volumes", "--remove-orphans", "--timeout", "20")
        finally:
            images = self.run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout
            for image in re.findall(rf"^\S+:{self.project}\S*$", images, re.MULTILINE):
                self.run("docker", "image", "rm", "--force", image)
            # What a second build left without a name; the label keeps this from other people's images.
            label = "label=org.opencontainers.image.title=django-celery-stack"
            self.run("docker", "image", "prune", "--force", "--filter", label)
            shutil.rmtree(self.root, ignore_errors=True)
