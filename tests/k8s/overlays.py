"""Overlays that are applied to the real cluster without a running pod: what its API server says is what is tested."""

import json
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.e2e.supervisor import CHECKOUT
from tests.machine import patience

# Nothing runs: no pods of ours, and a Job that waits.
ASLEEP = [
    {
        "target": {"kind": "Deployment|StatefulSet"},
        "patch": json.dumps([{"op": "add", "path": "/spec/replicas", "value": 0}]),
    },
    {"target": {"kind": "Job"}, "patch": json.dumps([{"op": "add", "path": "/spec/suspend", "value": True}])},
]


class Overlay:
    """A folder in a copy of k8s/, and a namespace of its own that exists already and that nobody has labelled."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="overlay-", dir="/tmp"))
        shutil.copytree(CHECKOUT / "k8s", self.root / "k8s")
        self.folder = self.root / "k8s" / "overlays" / "team"
        self.namespace = f"team-{uuid.uuid4().hex[:8]}"

    def __enter__(self) -> "Overlay":
        self.kubectl("create", "namespace", self.namespace)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.run("delete", "namespace", self.namespace, "--wait=false")
        shutil.rmtree(self.root, ignore_errors=True)

    def write(self, *components: str, asleep: bool = True, **more: Any) -> None:
        """kustomization.yaml as a user would write it, but for ASLEEP."""
        text: dict[str, Any] = {"namespace": self.namespace, "resources": ["../../base"]}
        text["components"] = [f"../../components/{name}" for name in components]
        text |= more
        text["patches"] = [*text.get("patches", []), *(ASLEEP if asleep else [])]
        self.put("kustomization.yaml", json.dumps(text))

    def put(self, file: str, text: str) -> None:
        """A file of the folder."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def apply(self, *options: str) -> str:
        """What `kubectl apply -k` of the folder prints."""
        return self.kubectl("apply", "-k", str(self.folder), *options)

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """kubectl in the namespace."""
        return subprocess.run(
            ["kubectl", "--namespace", self.namespace, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=patience(180),
            check=False,
        )

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """The output of kubectl, or an AssertionError with it."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """The JSON of `kubectl get`."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))
