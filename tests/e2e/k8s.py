"""The Kubernetes runtime as a target: the manifests in a namespace of their own, on the cluster of KUBECONFIG."""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.supervisor import CHECKOUT, SHELL
from tests.machine import patience
from tests.waiting import wait_until

KINDS = {"redis": "statefulset", "db": "statefulset", "cache": "statefulset"}
ROLES = ("redis", "db", "web", "worker", "beat", "flower")
# What a pod does not recover from by waiting.
HOPELESS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CrashLoopBackOff")


def cluster() -> str:
    """Why no cluster can be used here, or an empty string."""
    try:
        done = subprocess.run(["kubectl", "get", "nodes"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no cluster answers ({error})"
    return "" if done.returncode == 0 else f"no cluster answers (set KUBECONFIG): {done.stderr.strip()}"


def restarts_of(pod: dict[str, Any]) -> int:
    """How often the pod's container was restarted; one that waits for a node or a volume has none yet."""
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", ()))


class Kubernetes:
    """An overlay of our own over a copy of k8s/, in a namespace of its own; `remove` takes all of it away."""

    keeps = False

    def __init__(self, components: tuple[str, ...] = (), patches: tuple[str, ...] = (), **variables: str):
        self.root = Path(tempfile.mkdtemp(prefix="e2e-", dir="/tmp"))
        self.namespace = f"e2e-{uuid.uuid4().hex[:8]}"
        self.env = {name: os.environ[name] for name in (*SHELL, "KUBECONFIG") if name in os.environ}
        self.counts: dict[str, int] = {}
        shutil.copytree(CHECKOUT / "k8s", self.root / "k8s")
        self.overlay = self.root / "k8s" / "overlays" / "e2e"
        self.overlay.mkdir()
        self.components = ("namespace", "postgres", "network-policies", *components)
        self.patches = list(patches)
        self.variables = variables
        self.write()

    def write(self, images: str = "") -> None:
        """The overlay, as a user would write it; `images` is a tag in place of the base's."""
        operations = [{"op": "add", "path": f"/data/{name}", "value": value} for name, value in self.variables.items()]
        app = {"target": {"kind": "ConfigMap", "name": "app"}, "patch": json.dumps(operations)}
        text = {
            "namespace": self.namespace,
            "resources": ["../../base"],
            "components": [f"../../components/{name}" for name in self.components],
            "patches": [app, *map(json.loads, self.patches)],
        }
        if images:
            text["images"] = [{"name": "django-celery-stack", "newTag": images}]
        (self.overlay / "kustomization.yaml").write_text(json.dumps(text))

    # ---- The interface of a target

    @property
    def base_url(self) -> str:
        return self.address("web")

    @property
    def flower_url(self) -> str:
        return self.address("flower")

    @property
    def flower_password(self) -> str:
        return self.secret("flower_password")

    @property
    def api_token(self) -> str:
        return self.secret("api_token")

    def up(self) -> None:
        self.name_the_address()
        self.kubectl("apply", "-k", str(self.overlay))
        for role in ROLES:
            self.wait_ready(role)

    def name_the_address(self) -> None:
        """Tests go to the address of the Service, so that exists first, and the web role is told of it."""
        objects = [item for item in yaml.safe_load_all(self.kubectl("kustomize", str(self.overlay))) if item]
        first = [item for item in objects if item["kind"] in ("Namespace", "Service")]
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(first))
        self.variables |= {"ALLOWED_HOSTS": f"localhost,127.0.0.1,{self.base_url.split('/')[2].partition(':')[0]}"}
        self.write()

    def down(self) -> None:
        for role in ("web", "worker", "beat", "flower", "redis", "db"):
            self.stop(role)

    def stop(self, role: str) -> None:
        self.counts[role] = self.replicas(role)
        self._replicas(role, 0)

    def start(self, role: str) -> None:
        self._replicas(role, self.counts.pop(role, 1))

    def restart(self, role: str) -> None:
        self.stop(role)
        self.start(role)

    def signal(self, role: str, name: str) -> None:
        for pod in self.pods(role):
            pid = self.pid(pod)
            os.kill(pid, signal.Signals[f"SIG{name}"])
            if name == "KILL":  # until it has ended, it may still fetch a task
                wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 10)  # type: ignore[misc]

    def scale(self, role: str, count: int) -> None:
        self._replicas(role, count)

    def check(self, role: str, ready: bool = False) -> str | None:
        command = ["python", "app/service.py", "check", role, *["--ready"][: int(ready)]]
        done = self.run("exec", self.names(role)[0], "-c", "app", "--", *command)
        return None if done.returncode == 0 else done.stderr.partition("command terminated")[0].strip() or "failed"

    def lives(self) -> dict[str, int]:
        return {name: count for name, count in self.restarts().items() if name not in ("redis-0", "db-0")}

    def logs(self, role: str | None = None) -> str:
        pods = [pod for word in ([role] if role else ROLES) for pod in self.pods(word)]
        # The container before a restart, too.
        wanted = [
            (pod["metadata"]["name"], previous)
            for pod in pods
            for previous in ("true", "false")
            if previous == "false" or restarts_of(pod)
        ]
        return "".join(
            self.run("logs", name, "-c", "app", "--tail=-1", f"--previous={previous}").stdout
            for name, previous in wanted
        )

    def refused(self) -> list[str]:
        # Pairs of lines, a name and its value, for each entry.
        lines = self.redis("ACL", "LOG").splitlines()
        self.redis("ACL", "LOG", "RESET")
        names = [index for index, line in enumerate(lines) if line == "reason"]
        entries = [dict(zip(lines[at - 2 : at + 12 : 2], lines[at - 1 : at + 13 : 2], strict=False)) for at in names]
        return [str(entry) for entry in entries if entry["reason"] != "auth"]

    # ---- What only this target can do

    def run(self, *arguments: str, timeout: float = 300, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """kubectl in the target's namespace."""
        command = ["kubectl", "--namespace", self.namespace, *arguments]
        return subprocess.run(
            command,
            env=self.env,
            input=text,
            capture_output=True,
            text=True,
            timeout=patience(timeout),
            check=False,
        )

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """The output of kubectl, or an AssertionError with it."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def label(self, role: str) -> str:
        """What selects a role's pods; those of a worker of its own for a queue are `worker-for-<queue>`'s."""
        word, own, queue = role.partition("-for-")
        if word == "worker":
            return f"app.kubernetes.io/name=worker,queue={queue if own else 'default'}"
        return f"app.kubernetes.io/name={role}"

    def pods(self, role: str) -> list[dict[str, Any]]:
        """The role's pods that are not on their way out."""
        items = json.loads(self.kubectl("get", "pods", "-l", self.label(role), "-o", "json"))["items"]
        return [item for item in items if "deletionTimestamp" not in item["metadata"]]

    def names(self, role: str) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.pods(role)]

    def restarts(self) -> dict[str, int]:
        """How often each container was restarted, by pod."""
        return {pod["metadata"]["name"]: restarts_of(pod) for role in ROLES for pod in self.pods(role)}

    def pid(self, pod: dict[str, Any]) -> int:
        """The pod's PID 1 as this machine sees it; only where the nodes are processes of this machine."""
        container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        found = subprocess.run(
            ["grep", "-l", container, *map(str, Path("/proc").glob("[0-9]*/cgroup"))],
            capture_output=True, text=True, check=False,
        ).stdout.split()  # fmt: skip
        for path in found:
            with suppress(OSError):  # the process of a probe, which has ended
                status = Path(path).with_name("status").read_text()
                if next(line for line in status.splitlines() if line.startswith("NSpid")).split()[-1] == "1":
                    return int(Path(path).parent.name)
        raise AssertionError("the pod's process is not on this machine")

    def address(self, service: str) -> str:
        spec = json.loads(self.kubectl("get", "service", service, "-o", "json"))["spec"]
        return f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def secret(self, key: str) -> str:
        return (
            base64.b64decode(json.loads(self.kubectl("get", "secret", "app-secrets", "-o", "json"))["data"][key])
            .decode()
            .strip()
        )

    def object(self, role: str) -> str:
        return f"{KINDS.get(role, 'deployment')}/{role}"

    def replicas(self, role: str) -> int:
        return int(self.kubectl("get", self.object(role), "-o", "jsonpath={.spec.replicas}"))

    def _replicas(self, role: str, count: int) -> None:
        self.kubectl("scale", self.object(role), f"--replicas={count}")
        self.wait_ready(role)
        label = self.label(role)
        wait_until(lambda: len(self.kubectl("get", "pods", "-l", label, "-o", "name").split()) == count, 120, every=1)

    def wait_ready(self, role: str, within: float = 240) -> None:
        """Return when as many pods of the newest version as wanted are ready; hopeless ones fail at once."""

        def ready() -> bool:
            item = json.loads(self.kubectl("get", self.object(role), "-o", "json"))
            status, wanted = item["status"], item["spec"]["replicas"]
            assert status.get("observedGeneration") == item["metadata"]["generation"]
            self._no_hopeless(role)
            numbers = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
            numbers[1] = (
                wanted if KINDS.get(role) and status["currentRevision"] == status["updateRevision"] else numbers[1]
            )
            assert numbers == [wanted] * 3, f"{role}: pods, of the newest version, ready are {numbers}, wanted {wanted}"
            return True

        try:
            wait_until(ready, within, every=1)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None

    def _no_hopeless(self, role: str) -> None:
        for pod in self.pods(role):
            status = pod["status"]
            for container in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
                reason = container["state"].get("waiting", {}).get("reason")
                if reason in HOPELESS and (reason != "CrashLoopBackOff" or container["restartCount"] > 3):
                    raise RuntimeError(f"{pod['metadata']['name']}: {reason}\n{self.story()}")

    def story(self) -> str:
        """What an operator would look at: the pods, the events, the end of each log."""
        events = self.run("get", "events", "--sort-by=.lastTimestamp").stdout.splitlines()[-30:]
        pods = self.run("get", "pods", "-o", "wide").stdout
        ends = [
            f"--- {name}\n" + self.run("logs", name, "--all-containers", "--ignore-errors", "--tail=15").stdout
            for name in self.run("get", "pods", "-o", "name").stdout.split()
        ]
        return "\n".join([pods, *events, *ends])

    def redis(self, *command: str) -> str:
        """The answer of redis-cli with the operator's rights."""
        script = 'REDISCLI_AUTH=$(cat /run/secrets/admin_redis_password) exec redis-cli --user admin "$@"'
        return self.kubectl("exec", "redis-0", "-c", "app", "--", "sh", "-c", script, "redis-cli", *command).strip()

    def remove(self) -> None:
        """Take away everything of this namespace, and nothing else."""
        for role in ("web", "worker", "beat", "flower"):
            for pod in self.pods(role):
                try:
                    os.kill(self.pid(pod), signal.SIGCONT)  # what a test froze cannot stop
                except (AssertionError, KeyError, IndexError, OSError):
                    pass
        # The cluster does the rest by itself: no other test has this namespace's name, and it takes a minute.
        self.run("delete", "namespace", self.namespace, "--wait=false")
        shutil.rmtree(self.root, ignore_errors=True)
