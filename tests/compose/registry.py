"""A registry of a test's own on loopback: Debian's package docker-registry. Docker speaks plain HTTP to 127.0.0.0/8."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.e2e.supervisor import free_ports
from tests.waiting import wait_until

PROGRAM = shutil.which("docker-registry")
USER = ("team", "wordpass")
USERS = f"{USER[0]}:$2b$04$919KJt9jjf52V/kbZ5XbFOipYIbqUKQ3FOIlsn08XlDRkfC0JgIYW\n"


class Registry:
    """A registry that runs: its address, and what it has."""

    def __init__(self, address: str, folder: Path):
        self.address, self.folder = address, folder

    def repositories(self) -> list[str]:
        answer = requests.get(f"http://{self.address}/v2/_catalog", auth=USER, timeout=10)
        return list(answer.json()["repositories"])

    def size(self) -> int:
        """Bytes of all that was ever pushed."""
        return sum(file.stat().st_size for file in (self.folder / "data").rglob("*") if file.is_file())


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Run one that keeps its data in `folder`, and asks for `USER`."""
    if not PROGRAM:
        pytest.skip("there is no docker-registry here (a package of Debian)")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    (folder / "users").write_text(USERS)
    config = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
        "auth": {"htpasswd": {"realm": "team", "path": str(folder / "users")}},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([PROGRAM, "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(address), 20)
        yield Registry(address, folder)
    finally:
        process.terminate()
        process.wait(20)


def answers(address: str) -> bool:
    """requests' own errors are OSErrors, for which `wait_until` waits on."""
    return requests.get(f"http://{address}/v2/", timeout=5).status_code == 401
