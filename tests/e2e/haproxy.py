"""HAProxy in front of a stack on this machine, with deploy/haproxy.cfg, as deploy/vm.md has it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.attacks.wire import Front
from tests.e2e.supervisor import free_ports
from tests.tls import tls_end


@dataclass(frozen=True)
class Proxy:
    """What listens with TLS and without, and the file of its log."""

    secure: Front
    plain: Front
    log: Path


@contextmanager
def haproxy(web: str) -> Iterator[Proxy]:
    """HAProxy in front of the web role at the address `web`, until the block ends."""
    https, http = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="haproxy") as name, tls_end(Path(name), web, https, http):
        secure = Front("haproxy", "127.0.0.1", https, tls=True)
        yield Proxy(secure, Front("haproxy without TLS", "127.0.0.1", http), Path(name) / "haproxy.log")
