"""The manifests as kustomize renders them: every overlay, and every combination that a README of k8s/ shows.

python -m tests.bundle.rendering     print all of it, each object once
"""

import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
K8S = PROJECT / "k8s"
# A worker of its own beside an overlay, as the README of the component has it.
ONE_MORE = "# emails/" + (K8S / "components/queue/README.md").read_text().partition("# emails/")[2].partition("```")[0]
Objects = dict[tuple[str, str], dict[str, Any]]


def combinations() -> dict[str, str]:
    """Name to kustomization: the overlays, and each block of a README that names components."""
    found = {"quickstart": "resources: [../..]\n"}
    found |= {path.name: f"resources: [../{path.name}]\n" for path in sorted((K8S / "overlays").iterdir())}
    for readme in sorted(K8S.rglob("*.md")):
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", readme.read_text(), re.DOTALL)):
            # One with an address in it needs the network, or a repository of its own: test_remote_base.py.
            if "components:" in block and "://" not in block:
                found[f"{readme.parent.relative_to(PROJECT)}#{number}"] = block
    return found


def command() -> list[str]:
    """kubectl or kustomize; where neither is, the test is skipped."""
    if program := shutil.which("kubectl"):
        return [program, "kustomize"]
    if program := shutil.which("kustomize"):
        return [program, "build"]
    pytest.skip("neither kubectl nor kustomize is on PATH")


def files_of(block: str) -> dict[str, str]:
    """The files of a block: each after a line with its name as a comment, or one kustomization.yaml."""
    _, *parts = re.split(r"^# (\S+\.yaml)\n", block, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True)) or {"kustomization.yaml": block}


def build(kustomization: str) -> list[dict[str, Any]]:
    """The objects that kustomize makes of an overlay with this text, in a copy of k8s/."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "k8s"
        shutil.copytree(K8S, copy)
        overlay = copy / "overlays" / "rendered"
        overlay.mkdir()
        if kustomization == "resources: [../..]\n":  # the root is no base of an overlay: kustomize calls it a cycle
            overlay = copy
        else:
            for file, text in files_of(kustomization).items():
                (overlay / file).parent.mkdir(exist_ok=True)
                (overlay / file).write_text(text)
        done = subprocess.run([*command(), str(overlay)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Python's own reader of YAML takes longer than kustomize.
    return [item for item in yaml.load_all(done.stdout, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if item]


@functools.cache
def sources() -> bytes:
    """All that kustomize reads, and the program: what was rendered from the same need not be rendered again."""
    files = sorted(path for path in K8S.rglob("*") if path.is_file())
    parts = [part for path in files for part in (str(path.relative_to(K8S)).encode(), path.read_bytes())]
    return hashlib.sha256(b"\0".join([*map(str.encode, command()), *parts])).digest()


@functools.cache
def objects_of(kustomization: str) -> list[dict[str, Any]]:
    """The objects that an overlay with this text makes, from a file where another process rendered them already."""
    kept = Path(tempfile.gettempdir()) / f"rendered-{os.getuid()}"
    kept.mkdir(mode=0o700, exist_ok=True)
    assert kept.stat().st_uid == os.getuid(), f"{kept} belongs to somebody else"
    file = kept / f"{hashlib.sha256(sources() + kustomization.encode()).hexdigest()}.json"
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            half = file.with_suffix(".half")
            half.write_text(json.dumps(build(kustomization)))
            half.replace(file)
    return list(json.loads(file.read_text()))


@functools.cache
def render(name: str) -> Objects:
    """The objects of a combination by kind and name; a generated name without its hash."""
    objects = objects_of(combinations()[name])
    return {(item["kind"], re.sub(r"-[a-z0-9]{10}$", "", item["metadata"]["name"])): item for item in objects}


def pod_of(item: dict[str, Any]) -> dict[str, Any]:
    """The pod that a Deployment, StatefulSet or Job makes."""
    return dict(item["spec"]["template"]["spec"])


def workloads(name: str) -> dict[str, dict[str, Any]]:
    """Every Deployment, StatefulSet and Job of a combination by name."""
    return {key[1]: item for key, item in render(name).items() if key[0] in ("Deployment", "StatefulSet", "Job")}


def app_of(item: dict[str, Any]) -> dict[str, Any]:
    """The one container of a workload's pod, which is always named `app`."""
    (container,) = pod_of(item)["containers"]
    assert container["name"] == "app"
    return dict(container)


def environment_of(name: str, workload: str, container: dict[str, Any]) -> dict[str, str]:
    """The environment of a container: its ConfigMap, then its own."""
    from stack.runtime.env import environment  # `python -m` of this module finds no `stack`, and needs none

    values: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        values |= render(name)["ConfigMap", re.sub(r"-[a-z0-9]{10}$", "", source["configMapRef"]["name"])]["data"]
    return environment("no .env", values | {item["name"]: item["value"] for item in container.get("env", ())})


ALL = sorted(combinations())


def main() -> None:
    """For a scanner, whose one run over everything takes a tenth of the time of a run for each combination."""
    try:
        texts = {yaml.safe_dump(item) for name in ALL for item in objects_of(combinations()[name])}
    except pytest.skip.Exception as reason:
        sys.exit(str(reason))
    print("---\n".join(sorted(texts)))


if __name__ == "__main__":
    main()
