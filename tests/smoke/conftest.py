"""The smoke ring: a stack that somebody uses, with any project in it; nothing but its address and its token is needed.

make smoke TARGET=supervisor|compose|k8s [BASE_URL=https://example.org]
API_TOKEN or API_TOKEN_FILE names the token; without either it is asked of the runtime.
"""

import base64
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.e2e.client import Client, place_of

CHECKOUT = Path(__file__).resolve().parents[2]


def output(*command: str) -> str:
    """What a program of the runtime says, and nothing where it fails or is not there."""
    try:
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def of_supervisor() -> str:
    """The token that the web role of this checkout was started with."""
    try:
        pid = int((CHECKOUT / "run" / "supervisord.pid").read_text())
        lines = (CHECKOUT / ".env").read_text().splitlines() if (CHECKOUT / ".env").exists() else []
        env = dict(line.partition("=")[::2] for line in lines) | psutil.Process(pid).environ()
    except (OSError, ValueError, psutil.Error):
        return ""
    file = env.get("API_TOKEN_FILE")
    return (CHECKOUT / file).read_text().strip() if file else env.get("API_TOKEN", "")


def of_compose() -> str:
    return output("docker", "compose", "exec", "-T", "web", "cat", "/run/secrets/api_token")


def of_k8s() -> str:
    # In the overlay's namespace, under the name that the overlay gives it; NAMESPACE= is for who has no overlay here.
    code = "import kube; print(kube.namespace(), kube.secret_name())"
    namespace, secret = output(sys.executable, "-c", f"import sys; sys.path.append('deploy'); {code}").split() or (
        "",
        "",
    )
    namespace = os.environ.get("NAMESPACE") or namespace
    text = output("kubectl", "-n", namespace, "get", "secret", secret, "-o", "jsonpath={.data.api_token}")
    return base64.b64decode(text).decode().strip()


TOKENS = {"supervisor": of_supervisor, "compose": of_compose, "k8s": of_k8s}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smoke")
    group.addoption("--base-url", default="http://127.0.0.1:8000", help="where the stack answers")
    group.addoption("--runtime", choices=TOKENS, default="supervisor", help="whom to ask for the API's token")


@pytest.fixture(scope="session")
def api(request: pytest.FixtureRequest) -> Client:
    token = os.environ.get("API_TOKEN", "")
    if file := os.environ.get("API_TOKEN_FILE"):
        token = Path(file).read_text().strip()
    token = token or TOKENS[request.config.getoption("--runtime")]()
    base_url = request.config.getoption("--base-url").rstrip("/")
    return Client(base_url, token, place_of(base_url))
