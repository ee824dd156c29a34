"""A PostgreSQL of a test's own, which can be stopped, frozen and started again with its data."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.roles.conftest import free_port
from tests.waiting import Process, wait_until

# Debian has it where nobody's shell looks.
FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
INITDB = shutil.which("initdb") or next((str(path / "initdb") for path in FOLDERS if (path / "initdb").exists()), None)


class Postgres:
    """Its server refuses to be root's: then it is that of the user `postgres`, who comes with the package."""

    def __init__(self) -> None:
        assert INITDB
        self.bin, self.port = Path(INITDB).resolve().parent, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        self.who: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
        if self.who:
            shutil.chown(self.folder, "postgres", "postgres")
        made = [str(self.bin / "initdb"), "-D", str(self.folder / "data"), "-U", "app", "-A", "trust", "--no-sync"]
        subprocess.run(made, cwd=self.folder, check=True, capture_output=True, **self.who)
        self.url = f"postgres://app@127.0.0.1:{self.port}/postgres"
        self.start()

    def start(self) -> None:
        options = [
            "-p",
            str(self.port),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"unix_socket_directories={self.folder}",
        ]
        command = [str(self.bin / "postgres"), "-D", str(self.folder / "data"), *options, "-c", "fsync=off"]
        with (self.folder / "log").open("a") as log:
            self.process = Process(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **self.who)
        wait_until(self._answers, 20)

    def _answers(self) -> bool:
        ready = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def stop(self) -> None:
        """At once, as where its machine loses power: clients find their connections cut and new ones refused."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)

    def freeze(self) -> None:
        """Every process of it: clients wait for an answer, and new ones for a greeting."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, children)):
            os.kill(pid, number)

    def remove(self) -> None:
        if self.process.poll() is None:
            self.thaw()
            self.stop()
        shutil.rmtree(self.folder)


def missing() -> str:
    """Why there can be none here, "" if there can."""
    if not INITDB:
        return "needs PostgreSQL's server: sudo apt install postgresql"
    if os.getuid() == 0 and "postgres" not in {each.pw_name for each in pwd.getpwall()}:
        return "needs the user postgres: its server does not run as root"
    return ""
