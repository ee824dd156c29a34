"""A Redis behind TLS, as providers rent it: every role speaks to it, and to none whose certificate does not verify."""

import json
import subprocess
from collections.abc import Iterator

import pytest
import requests

from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.waiting import wait_until

ROLES = ("web", "worker", "beat", "flower")


def certificates(stack: Compose) -> None:
    """A CA of its own, `tls/ca.pem`, and a certificate of it for the host `redis`."""
    folder = stack.root / "tls"
    folder.mkdir()
    (folder / "names").write_text("subjectAltName=DNS:redis\nauthorityKeyIdentifier=keyid\n")
    # Python 3.13 refuses a CA that does not say what its key is for.
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for command in (
        ("req", "-x509", *key, *usage, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=a CA", "-days", "2"),
        ("req", *key, "-keyout", "redis.key", "-out", "redis.csr", "-subj", "/CN=redis"),
        ("x509", "-req", "-in", "redis.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
         "-extfile", "names", "-out", "redis.pem"),
    ):  # fmt: skip
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    (folder / "redis.key").chmod(0o644)  # the container's Redis is another user


def with_tls(stack: Compose) -> str:
    """What compose has to know in addition."""
    tls = ["--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no", "--tls-ca-cert-file", "/tls/ca.pem"]
    tls += ["--tls-cert-file", "/tls/redis.pem", "--tls-key-file", "/tls/redis.key"]
    redis = json.loads(stack.compose("config", "--format", "json"))["services"]["redis"]
    trust = {
        "environment": {"REDIS_URL": "rediss://redis:6379/0", "SSL_CERT_FILE": "/tls/ca.pem"},
        "volumes": ["./tls/ca.pem:/tls/ca.pem:ro"],
    }
    health = redis["healthcheck"]["test"][-1].replace("redis-cli", "redis-cli --tls --cacert /tls/ca.pem -h redis")
    served = {
        "command": [*redis["command"], *tls],
        "volumes": ["./tls:/tls:ro"],
        "healthcheck": {"test": ["CMD-SHELL", health]},
    }
    return json.dumps({"services": dict.fromkeys(ROLES, trust) | {"redis": served}})


@pytest.fixture(scope="module")
def secured() -> Iterator[Compose]:
    target = Compose()
    try:
        certificates(target)
        (target.root / "compose.override.yaml").write_text(with_tls(target))
        target.up()
        yield target
    finally:
        target.remove()


@pytest.fixture
def client(secured: Compose) -> Client:
    return Client(secured.base_url)


def test_every_role_works_with_a_redis_behind_tls(secured: Compose, client: Client) -> None:
    first = client.submit("add", 2, 3)
    try:
        # Right after its start a worker sometimes stands still for ten seconds or more over TLS: it reads from a
        # connection that has nothing for it. Known, and for the transport to mend. One that stands still for a minute
        # ends itself and is started again.
        assert client.done(first, within=120)["result"] == 5
    except AssertionError as error:
        raise AssertionError(f"{error}\n{secured.logs('worker')[-6000:]}\n{secured.logs('web')[-3000:]}") from None
    header = [{"name": "add", "args": [1, 2]}, {"name": "mul", "args": [3, 4]}]
    sent = client.call("POST", "/api/canvas/chord", json={"header": header, "body": {"name": "xsum"}}).json()
    assert client.get(f"{sent['url']}?wait=20").json()["result"] == 15

    made = client.call("PUT", "/api/schedules/of-this-test", json={"task": "ping", "every": 1})
    assert made.status_code == 201, made.text
    wait_until(lambda: runs(client) >= 2, 20)
    assert [worker["ready"] for worker in client.get("/api/workers").json()] == [True]
    auth = ("flower", secured.flower_password)
    wait_until(lambda: requests.get(f"{secured.flower_url}/api/workers?refresh=true", auth=auth, timeout=20).json(), 20)
    wait_until(lambda: [secured.check(role, ready=True) for role in ROLES] == [None] * 4, 20)


def runs(client: Client) -> int:
    entries = {entry["name"]: entry for entry in client.get("/api/schedules").json()}
    return int(entries["of-this-test"]["total_run_count"])


# Every way in which a role asks Redis, each with how it fails.
ASK = """
from celery import current_app as app
from stack.broker.connections import client
asks = [client().ping, app.backend.client.ping, app.connection_for_write().connect]
if "redbeat_redis_url" in app.conf:
    from redbeat.schedulers import get_redis
    asks += [get_redis(app).ping]
for ask in asks:
    try:
        print(ask())
    except Exception as error:
        print(str(error).replace(chr(10), " "))
"""


@pytest.mark.parametrize("role", ["web", "worker"])
@pytest.mark.parametrize(
    "stranger", ["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "REDIS_URL=rediss://{ip}:6379/0"]
)
def test_a_redis_whose_certificate_does_not_verify_is_not_spoken_to(secured: Compose, role: str, stranger: str) -> None:
    networks = secured.inspect(secured.containers("redis")[0])["NetworkSettings"]["Networks"]
    variable = stranger.format(ip=networks[f"{secured.project}_broker"]["IPAddress"])
    container = secured.containers(role)[0]

    shell = ("python", "app/manage.py", "shell", "--no-imports", "-c", ASK)
    asked = secured.run("docker", "exec", "-e", variable, "-e", f"SERVICE_ROLE={role}", container, *shell)

    answers = asked.stdout.splitlines()
    assert len(answers) == {"web": 4, "worker": 3}[role], asked
    if role == "worker":  # the web's check asks the web
        check = ("python", "app/service.py", "check", role, "--ready")
        answers.append(secured.run("docker", "exec", "-e", variable, container, *check).stderr)
    # The web's breaker, open after the first, names what it was.
    assert all("CERTIFICATE_VERIFY_FAILED" in answer for answer in answers), answers
