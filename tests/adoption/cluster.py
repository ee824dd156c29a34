"""A project on the cluster of KUBECONFIG, as docs/bring-your-project.md puts it there, in a namespace of its own.

The image goes to the nodes by the command in IMAGE_LOAD, which gets its name: `kind load docker-image`, `docker push`.
A StorageClass is each cluster's own matter: here the volume for uploads is a folder of this machine, so every node has
to be one of its processes.
"""

import os
import re
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.bundle.rendering import files_of
from tests.e2e.compose import DOCKER, engine
from tests.e2e.k8s import Kubernetes, cluster
from tests.e2e.supervisor import CHECKOUT, SHELL, copy_checkout, free_ports
from tests.machine import patience
from tests.waiting import wait_until

LOAD = "IMAGE_LOAD"
USER = 10001  # of the image's processes


def unusable() -> str:
    """Why a project's image cannot be built and brought to a cluster here, or an empty string."""
    if reason := cluster() or engine():
        return reason
    return "" if os.environ.get(LOAD) else f"needs {LOAD}, the command that puts an image on the cluster's nodes"


def overlay(page: Path) -> dict[str, str]:
    """The files of the overlay that a page of docs/ shows, by name."""
    (block,) = re.findall(r"```yaml\n(# kustomization.yaml\n.*?)```", page.read_text(), re.DOTALL)
    return files_of(block)


def patch_of(overlay: dict[str, Any], kind: str) -> dict[str, Any]:
    """The overlay's one patch of objects of a kind."""
    (patch,) = [each for each in overlay["patches"] if each["target"]["kind"] == kind]
    found: dict[str, Any] = patch
    return found


class Cluster(Kubernetes):
    """The overlay of the page over a copy of the checkout, with variables; `remove` takes all of it away."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.root = copy_checkout()
        self.namespace = f"adopted-{uuid.uuid4().hex[:8]}"
        known = (*SHELL, *DOCKER, "KUBECONFIG")
        self.env = {name: os.environ[name] for name in known if name in os.environ}
        self.counts, self.variables = {}, dict(variables)
        self.overlay = self.root / "k8s" / "overlays" / "shop"
        self.files = overlay(CHECKOUT / "docs" / "bring-your-project.md")
        self.tag, self.built = str(self._image["newTag"]), set[str]()
        self.write()

    @property
    def _image(self) -> dict[str, Any]:
        (image,) = yaml.safe_load(self.files["kustomization.yaml"])["images"]
        return dict(image)

    @property
    def image(self) -> str:
        """The image's name and tag."""
        return f"{self._image['newName']}:{self.tag}"

    def write(self, images: str = "") -> None:
        """The overlay as the page has it, with a namespace, variables and a tag of our own."""
        text = yaml.safe_load(self.files["kustomization.yaml"])
        text["namespace"] = self.namespace
        text["images"] = [self._image | {"newTag": images or self.tag}]
        app = patch_of(text, "ConfigMap")
        values = {each["path"].removeprefix("/data/"): each["value"] for each in yaml.safe_load(app["patch"])}
        hosts = ",".join([values["ALLOWED_HOSTS"], self.variables.get("ALLOWED_HOSTS", "web")])
        values |= self.variables | {"ALLOWED_HOSTS": hosts}
        operations = [{"op": "add", "path": f"/data/{name}", "value": value} for name, value in values.items()]
        app["patch"] = yaml.safe_dump(operations)
        for file, content in self.files.items():
            (self.overlay / file).parent.mkdir(parents=True, exist_ok=True)
            (self.overlay / file).write_text(content)
        (self.overlay / "kustomization.yaml").write_text(yaml.safe_dump(text))

    # ---- The interface of a target

    @cached_property
    def base_url(self) -> str:  # type: ignore[override] # asked once: the Service stays
        return self.address("web")

    @cached_property
    def api_token(self) -> str:  # type: ignore[override]
        return self.secret("api_token")

    def up(self) -> None:
        self.build()
        self.name_the_address()
        self.volume()
        self.make("up")

    def remove(self) -> None:
        super().remove()
        self.run("delete", "persistentvolume", self.namespace, "--ignore-not-found", "--wait=false")
        command = ["docker", "image", "rm", "--force", *self.built]
        subprocess.run(command, env=self.env, capture_output=True, check=False)

    # ---- As its operator does it

    def build(self) -> None:
        """Build the image, as the page has it, and bring it to the nodes."""
        self.built.add(self.image)
        build = ["make", "image", f"IMAGE={self._image['newName']}", f"TAG={self.tag}"]
        for command in (build, [*shlex.split(os.environ[LOAD]), self.image]):
            # The loader is a program of this machine's, and knows its own variables.
            env = self.env if command is build else None
            done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{shlex.join(command)} failed:\n{done.stdout}{done.stderr}"

    def volume(self) -> None:
        """A volume of the class that the overlay names, which pods on every node may write to at once."""
        folder = self.root / "uploads"
        folder.mkdir(exist_ok=True)
        os.chown(folder, USER, USER)  # a host's folder knows no fsGroup, as some servers of NFS do not
        patch = patch_of(yaml.safe_load(self.files["kustomization.yaml"]), "PersistentVolumeClaim")
        (operation,) = yaml.safe_load(patch["patch"])
        spec = {
            "storageClassName": operation["value"],
            "accessModes": ["ReadWriteMany"],
            "capacity": {"storage": "5Gi"},
            "claimRef": {"namespace": self.namespace, "name": "media"},
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(folder), "type": "Directory"},
        }
        volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": self.namespace}, "spec": spec}
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump(volume))

    def make(self, verb: str) -> str:
        """The output of a verb with this overlay."""
        command = ["make", verb, "TARGET=k8s", f"OVERLAY={self.overlay.relative_to(self.root)}"]
        done = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(command)} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def manage(self, *arguments: str) -> str:
        """The output of manage.py with the rights of the web role."""
        return self.kubectl("exec", self.names("web")[0], "-c", "app", "--", "python", "app/manage.py", *arguments)

    @contextmanager
    def at_hand(self) -> Iterator[str]:
        """The web role's address for a browser of this machine, as k8s/README.md has it."""
        (port,) = free_ports(1)
        command = ["kubectl", "--namespace", self.namespace, "port-forward", "service/web", f"{port}:8000"]
        address = f"http://127.0.0.1:{port}"
        with subprocess.Popen(command, env=self.env, stdout=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: requests.get(f"{address}/livez", timeout=patience(5)).ok, 20)
                yield address
            finally:
                process.terminate()
