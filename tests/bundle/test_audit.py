"""`make audit` asks of every locked package, and fails where one has a known vulnerability."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.bundle.matches import matches
from tests.machine import patience

PROJECT = Path(__file__).resolve().parents[2]
# Many questions in a row, and an environment that `make test` does not make.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("audit")]
Asked = set[tuple[str, str]]


@contextmanager
def osv(vulnerable: str = "") -> Iterator[tuple[str, Asked]]:
    """A small OSV on loopback, which knows one vulnerability of one package: its address, and what it was asked."""
    asked: Asked = set()

    class Answerer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = question["package"]["name"], question["version"]
            asked.add((name, version))
            fixed = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}
            affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": [fixed]}
            hole = {"id": "PYSEC-2099-1", "aliases": ["CVE-2099-1"], "summary": "a hole", "affected": [affected]}
            body = json.dumps({"vulns": [hole]} if name == vulnerable else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answerer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query", asked
        server.shutdown()


def audit(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "audit", f"AUDIT_URL={url}", *options]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=patience(200), check=False)


def test_a_known_vulnerability_fails_the_audit_and_is_named() -> None:
    locks = {file.name: file.read_text() for file in (PROJECT / "requirements").glob("*.txt")}
    versions = [matches(r"^django==(\S+)", locks[name], least=1)[0] for name in ("base.txt", "django60.txt")]
    with osv("django") as (url, asked):
        done = audit(url)
        known = audit(url, "AUDIT_IGNORE=PYSEC-2000-1 CVE-2099-1")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if "PYSEC" in line]
    assert sorted(lines) == [
        f"django {versions[0]} (base.txt, dev.txt): PYSEC-2099-1, mended in 99.1: a hole",
        f"django {versions[1]} (django60.txt): PYSEC-2099-1, mended in 99.1: a hole",
    ]
    assert "2 known vulnerabilities: raise the versions (make lock)" in done.stderr
    assert known.returncode == 0, known.stderr
    # Of every lock, and of each version where two locks differ; what only Windows or another Python installs too.
    every = {
        pair for text in locks.values() for pair in matches(r"^([a-z0-9.-]+)(?:\[.*\])?==([^\s;]+)", text, least=1)
    }
    assert asked == every
    assert {"tzdata", "numpy", "uv", "supervisor"} <= {name for name, _ in asked}


def test_without_an_answer_the_audit_fails_and_says_what_it_needs() -> None:
    with osv() as (url, _):
        pass
    done = audit(url)
    assert done.returncode != 0
    assert f"no answer from {url}: " in done.stderr
    assert "make audit needs the Internet, or AUDIT_URL=" in done.stderr


def test_without_a_known_vulnerability_the_audit_passes() -> None:
    with osv() as (url, asked):
        done = audit(url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{len(asked)} locked packages, and no known vulnerability"
