"""HAProxy in front of a stack on this machine, with deploy/haproxy.cfg, as deploy/vm.md has it."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.attacks.wire import Front, answers, send
from tests.e2e.supervisor import CHECKOUT, free_ports
from tests.waiting import Process, wait_until

CONFIGURATION = CHECKOUT / "deploy/haproxy.cfg"
PROGRAM = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(frozen=True)
class Proxy:
    """What listens with TLS and without, and the file of its log."""

    secure: Front
    plain: Front
    log: Path


@contextmanager
def haproxy(web: str) -> Iterator[Proxy]:
    """HAProxy in front of the web role at the address `web`, until the block ends."""
    assert PROGRAM
    https, http = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="haproxy") as name:
        folder = Path(name)
        certify(folder / "site.pem")
        lines = CONFIGURATION.read_text()
        if os.getuid():  # only root becomes somebody else
            lines = re.sub(r"^ *(user|group|chroot) .*\n", "", lines, flags=re.MULTILINE)
        (folder / "haproxy.cfg").write_text(lines)
        site = {"SITE_HTTPS": f"127.0.0.1:{https}", "SITE_HTTP": f"127.0.0.1:{http}", "SITE_WEB": web}
        env = os.environ | site | {"SITE_CERTIFICATE": str(folder / "site.pem")}
        with (folder / "log").open("w") as log:
            process = Process([PROGRAM, "-db", "-f", str(folder / "haproxy.cfg")], env=env, stdout=log, stderr=log)
        secure = Front("haproxy", "127.0.0.1", https, tls=True)
        try:
            try:
                wait_until(lambda: _serves(secure), 15)
            except AssertionError as reason:
                raise AssertionError(f"{reason}\n{(folder / 'log').read_text()}") from None
            yield Proxy(secure, Front("haproxy without TLS", "127.0.0.1", http), folder / "log")
        finally:
            process.terminate()
            process.wait(10)


def _serves(front: Front) -> bool:
    found = answers(send(front, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    return [each.status for each in found] == [200]


def certify(file: Path) -> None:
    """A certificate for localhost and its key, in one file, signed by nobody else."""
    key = file.with_suffix(".key")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    done = subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    file.write_text(file.read_text() + key.read_text())
