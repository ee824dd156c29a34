"""What the compose stack costs: its image, its start, its memory and CPU at rest, and its health checks.

Run by `make bench TARGET=compose` at a quiet moment: it starts a project of its own and takes it away again.
"""

import gzip
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.e2e.client import Client
from tests.e2e.compose import Compose

BASE = "python:3.13-slim-trixie"
SERVICES = ("proxy", "web", "worker", "beat", "flower", "redis", "db")
IDLE, CHECKS = 60, 10  # seconds at rest; runs of each health check
MB = 1_000_000


def image_size(name: str) -> tuple[float, float, int]:
    """MB over the base, the same compressed as in a registry, and the layers that they are."""
    base = json.loads(subprocess.check_output(["docker", "inspect", BASE]))[0]["RootFS"]["Layers"]
    ours = json.loads(subprocess.check_output(["docker", "inspect", name]))[0]["RootFS"]["Layers"]
    raw = packed = 0
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["docker", "save", "-o", file.name, name], check=True)
        with tarfile.open(file.name) as archive:
            manifest = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
            for digest, path in zip(ours, manifest["Layers"], strict=True):
                if digest not in base:
                    data = archive.extractfile(path).read()  # type: ignore[union-attr]
                    raw, packed = raw + len(data), packed + len(gzip.compress(data, 6))
    return raw / MB, packed / MB, len(set(ours) - set(base))


def start(stack: Compose) -> tuple[float, float]:
    """Seconds until `up --wait` returns, and until the first result after that."""
    begun = time.monotonic()
    stack.compose("up", "-d", "--wait")
    up = time.monotonic()
    assert Client(stack.base_url).run("add", 2, 3)["result"] == 5
    return up - begun, time.monotonic() - up


def changed_line(stack: Compose) -> float:
    """Seconds for a build after a changed line, the best of five: what else the machine does only adds to it."""
    took = []
    for number in range(5):
        file = stack.root / "app" / "stack" / "tasks.py"
        file.write_text(f"{file.read_text()}\n# change {number}\n")
        begun = time.monotonic()
        stack.compose("build", "--quiet")
        took.append(time.monotonic() - begun)
    return min(took)


def cgroup(container: str, controller: str) -> Path:
    """The container's folder in a cgroup of the first or the second version."""
    for root in (f"/sys/fs/cgroup/{controller}", "/sys/fs/cgroup"):
        for place in (f"docker/{container}", f"system.slice/docker-{container}.scope"):
            if (folder := Path(root, place)).is_dir():
                return folder
    sys.exit(f"the {controller} cgroup of the containers is not in /sys/fs/cgroup on this machine")


def cpu_milliseconds(container: str) -> float:
    folder = cgroup(container, "cpuacct")
    if (usage := folder / "cpuacct.usage").exists():
        return int(usage.read_text()) / 1e6
    return int((folder / "cpu.stat").read_text().split()[1]) / 1e3


def memory_megabytes(container: str) -> float:
    """What the container holds, without the cache of files, which it gives back."""
    folder = cgroup(container, "memory")
    used = next(path for name in ("memory.usage_in_bytes", "memory.current") if (path := folder / name).exists())
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return (int(used.read_text()) - int(stat.get("total_inactive_file", stat.get("inactive_file", "0")))) / MB


def check_cost(stack: Compose, container: str) -> float:
    """CPU milliseconds of one health check, as the engine runs it; what the role itself does meanwhile is in it."""
    test = stack.inspect(container)["Config"]["Healthcheck"]["Test"]
    command = test[1:] if test[0] == "CMD" else ["sh", "-c", *test[1:]]
    costs = []
    for _ in range(CHECKS):
        before = cpu_milliseconds(container)
        subprocess.run(["docker", "exec", container, *command], check=True, capture_output=True)
        costs.append(cpu_milliseconds(container) - before)
    return statistics.median(costs)


def main() -> None:
    stack = Compose()
    try:
        stack.compose("build", "--quiet")
        raw, packed, layers = image_size(f"django-celery-stack:{stack.project}")
        fresh = start(stack)
        stack.down()
        warm = start(stack)
        containers = {service: stack.containers(service)[0] for service in SERVICES}
        time.sleep(20)  # the start is over
        before = {service: cpu_milliseconds(container) for service, container in containers.items()}
        time.sleep(IDLE)
        used = {service: cpu_milliseconds(containers[service]) - before[service] for service in SERVICES}
        changed = changed_line(stack)
        print(f"image: {raw:.1f} MB over {BASE}, {packed:.1f} MB compressed, {layers} layers")
        print(f"a changed line, built again: {changed:.1f} s")
        print(f"up --wait, fresh volumes: {fresh[0]:.1f} s, the first result {fresh[1]:.2f} s later")
        print(f"up --wait, after down:    {warm[0]:.1f} s, the first result {warm[1]:.2f} s later")
        print(f"\n{'service':8} {'memory':>9} {'CPU at rest':>12} {'of which checks':>16} {'a check':>9}")
        for service, container in containers.items():
            check = check_cost(stack, container)
            every = stack.inspect(container)["Config"]["Healthcheck"]["Interval"] / 1e9
            print(
                f"{service:8} {memory_megabytes(container):6.1f} MB {used[service] / IDLE:7.2f} ms/s "
                f"{check / every:11.2f} ms/s {check:6.0f} ms"
            )
    finally:
        stack.remove()


if __name__ == "__main__":
    main()
