"""A web role of one process, which can be looked at, with views of a project's own that take uploads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.roles.conftest import Redis, Role, free_port
from tests.roles.sockets import Web

MEBIBYTE = 1024 * 1024
JSON = {"Content_Type": "application/json"}


class Own(Web):
    """Its address, its log, its temporary folder and its process."""

    def __init__(self, port: int, role: Role):
        super().__init__(port)
        self.role = role

    def log(self) -> str:
        return self.role.log.read_text()

    def left(self) -> list[str]:
        return [file.name for file in Path(self.role.env["TMPDIR"]).iterdir()]

    def process(self) -> int:
        master = self.role.process.pid
        return int(Path(f"/proc/{master}/task/{master}/children").read_text().split()[0])

    def memory(self) -> float:
        """MiB that its process has in memory."""
        pages = int(Path(f"/proc/{self.process()}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE


def options(port: int, temporary: Path) -> dict[str, str]:
    """The variables of such a role, which writes uploads into `temporary`."""
    temporary.mkdir(exist_ok=True)
    return {
        "WEB_BIND": f"127.0.0.1:{port}",
        "WEB_WORKERS": "1",
        "DATABASE_URL": "sqlite://:memory:",
        "DJANGO_SETTINGS_MODULE": "uploads_settings",
        "MAX_UPLOAD": "6",
        "TMPDIR": str(temporary),
    }


@contextmanager
def own_web(folder: Path, **variables: str) -> Iterator[Own]:
    """One web role with a Redis of its own: what a test does to it must be over when the test ends."""
    server, port = Redis(folder), free_port()
    role = Role("web", server, folder, "web", **options(port, folder / "tmp") | variables).wait_ready()
    yield Own(port, role)
    role.end()
    server.stop()
