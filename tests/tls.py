"""The end of TLS in front of a stack: HAProxy with deploy/haproxy.cfg, and a browser's way through Django's admin."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.waiting import Process, wait_until

CONFIG = Path(__file__).resolve().parents[1] / "deploy" / "haproxy.cfg"
PASSWORD = "only-for-this-test"
# Debian puts it where only root's shell looks.
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


def missing() -> str:
    """Why no end of TLS can be started here, or an empty string."""
    lacking = [name for name, path in {"haproxy": HAPROXY, "openssl": shutil.which("openssl")}.items() if not path]
    return f"needs {' and '.join(lacking)} (apt install haproxy openssl)" if lacking else ""


def certificate(folder: Path) -> Path:
    """A certificate for localhost that signs itself, and its key, in one file as HAProxy reads it."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2")
    made = ["openssl", "req", "-x509", *key, "-out", "site.crt", *names]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    (folder / "site.pem").write_text((folder / "site.crt").read_text() + (folder / "key.pem").read_text())
    return folder / "site.pem"


@contextmanager
def tls_end(folder: Path, web: str, https: int, http: int, idle: str = "75s") -> Iterator[requests.Session]:
    """HAProxy as deploy/vm.md describes it, in front of `web` (host:port); a session that trusts its certificate.

    Args:
        idle: in place of the 75 s after which it ends a silent connection.
    """
    config, pem = CONFIG.read_text().replace("75s", idle), certificate(folder)
    if os.geteuid():  # who is not root has no other user to become
        config = re.sub(r"^ *(user|group|chroot) .*\n", "", config, flags=re.MULTILINE)
    (folder / "haproxy.cfg").write_text(config)
    places = {"SITE_HTTPS": f"127.0.0.1:{https}", "SITE_HTTP": f"127.0.0.1:{http}"}
    env = os.environ | places | {"SITE_CERTIFICATE": str(pem), "SITE_WEB": web}
    with (folder / "haproxy.log").open("w") as log:
        command = [str(HAPROXY), "-db", "-f", str(folder / "haproxy.cfg")]
        process = Process(command, env=env, stdout=log, stderr=subprocess.STDOUT)
    session = requests.Session()
    session.trust_env, session.verify = False, str(folder / "site.crt")
    try:

        def answers() -> bool:
            assert process.poll() is None, (folder / "haproxy.log").read_text()
            return session.get(f"https://localhost:{https}/livez", timeout=5).status_code == 200

        wait_until(answers, 20)
        yield session
    finally:
        session.close()
        process.terminate()
        process.wait(10)


def log_in(session: requests.Session, site: str, **headers: str) -> requests.Response:
    """Fill in the admin's form as a browser does, which sends its page's origin along; the answer to the POST.

    Args:
        session: over `http://` nothing carries its cookies but this: they are Secure.
        site: the origin, without a slash at its end.
        headers: sent with both requests.
    """
    session.cookies.clear()
    form = session.get(f"{site}/admin/login/?next=/admin/", headers=headers, timeout=20)
    assert form.status_code == 200, form.text
    (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
    cookies = "; ".join(f"{name}={value}" for name, value in form.cookies.items())
    origin = {"Origin": site, "Referer": f"{site}/admin/login/"} | headers | {"Cookie": cookies}
    fields = {"csrfmiddlewaretoken": token, "username": "admin", "password": PASSWORD, "next": "/admin/"}
    return session.post(f"{site}/admin/login/", data=fields, headers=origin, timeout=20, allow_redirects=False)


def raw(port: int, request: bytes, seconds: float = 20) -> bytes:
    """All that a server answers to these bytes, until it closes or is silent for so long."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        connection.sendall(request)
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    return answer
