"""What each container and each Redis user may do, and where secrets are not."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import requests

from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.waiting import wait_until

SERVICES = ("proxy", "web", "worker", "beat", "flower", "redis", "db")
ROLES = ("web", "worker", "beat", "flower")
USERS = {"redis": 999, "db": 999, "secrets": 0}


@pytest.mark.parametrize("service", [*SERVICES, "migrate", "secrets"])
def test_a_container_has_no_more_rights_than_it_needs(stack: Compose, service: str) -> None:
    (container,) = stack.containers(service, stopped=True)
    config = stack.inspect(container)
    host = config["HostConfig"]

    assert config["Config"]["User"].partition(":")[0] == str(USERS.get(service, 10001))
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    # The one-shot that gives each secret to its reader is the one waiver; it has no network.
    assert (host["CapAdd"] or []) == (["CHOWN", "DAC_OVERRIDE"] if service == "secrets" else [])
    assert service != "secrets" or host["NetworkMode"] == "none"
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert not host["Privileged"]
    assert host["PidsLimit"] > 0
    assert host["Memory"] > 0
    assert host["NanoCpus"] > 0
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert host["RestartPolicy"]["Name"] == ("on-failure" if service in ("secrets", "migrate") else "unless-stopped")
    assert service in ("secrets", "migrate") or config["Config"]["StopTimeout"] == 60


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_has_no_capability_and_can_gain_none(stack: Compose, service: str) -> None:
    for container in stack.containers(service):
        lines = Path(f"/proc/{stack.pid(container)}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        assert "0" not in status["Uid"].split()


def secrets(stack: Compose) -> dict[str, str]:
    script = "cd /secrets && for f in */*; do echo $f $(cat $f); done"
    volume = f"{stack.project}_secrets"
    done = stack.run("docker", "run", "--rm", "-v", f"{volume}:/secrets:ro", "redis:8-trixie", "sh", "-c", script)
    pairs = [line.split(" ", 1) for line in done.stdout.splitlines()]
    return {name: value for name, value in pairs if not name.endswith(".acl")}


def test_no_secret_is_in_an_environment_a_command_line_or_a_log(stack: Compose) -> None:
    values = secrets(stack)
    assert len(values) == 18
    for container in stack.containers(stopped=True):
        about = json.dumps(stack.inspect(container))
        done = stack.run("docker", "logs", container)
        about += done.stdout + done.stderr
        if pid := stack.pid(container):
            about += Path(f"/proc/{pid}/environ").read_text() + stack.run("docker", "top", container).stdout
        assert not [name for name, value in values.items() if value in about]


def test_each_service_sees_its_own_secrets_only_and_cannot_change_them(stack: Compose) -> None:
    values = secrets(stack)
    for service in (*ROLES, "redis", "db"):
        folder = stack.inside(stack.containers(service)[0], "run/secrets")
        own = {name.partition("/")[2] for name in values if name.startswith(f"{service}/")}
        assert {path.name for path in folder.iterdir()} == own | ({"users.acl"} if service == "redis" else set())
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o400
            assert path.stat().st_uid == USERS.get(service, 10001)
        assert os.statvfs(folder).f_flag & os.ST_RDONLY


def test_what_flower_has_seen_is_in_a_volume_of_its_own_user(stack: Compose) -> None:
    container = stack.containers("flower")[0]
    (mount,) = [each for each in stack.inspect(container)["Mounts"] if each["Destination"] == "/run/app/flower"]
    folder = stack.inside(container, "run/app/flower").stat()

    assert (mount["Type"], mount["Name"]) == ("volume", f"{stack.project}_flower")
    assert (folder.st_uid, stat.S_IMODE(folder.st_mode)) == (10001, 0o700)


def test_every_role_s_password_is_its_own_and_random(stack: Compose) -> None:
    values = secrets(stack)
    passwords = [value for name, value in values.items() if name.endswith(("redis_password", "admin_password"))]
    assert len(set(passwords)) == len(passwords) == 5
    assert min(map(len, values.values())) >= 32


@pytest.mark.parametrize("host", ["redis", "db"])
def test_redis_and_the_database_are_reached_by_those_who_use_them_only(stack: Compose, host: str) -> None:
    port = {"redis": 6379, "db": 5432}[host]
    script = f"import socket; socket.create_connection(('{host}', {port}), 2)"
    reach = set()
    for role in ROLES:
        container = stack.containers(role)[0]
        if stack.run("docker", "exec", container, "python", "-c", script).returncode == 0:
            reach.add(role)

    assert reach == {"redis": {"web", "worker", "beat", "flower"}, "db": {"web", "worker", "beat"}}[host]
    proxy = stack.run("docker", "exec", stack.containers("proxy")[0], "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}")
    assert proxy.returncode != 0
    assert not stack.inspect(stack.containers(host)[0])["HostConfig"]["PortBindings"]


def test_beat_gets_out_only_with_the_file_for_services_elsewhere(stack: Compose) -> None:
    gateway = stack.run("docker", "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge").stdout
    with socket.create_server(("", 0)) as server:
        script = f"import socket; socket.create_connection(('{gateway.strip()}', {server.getsockname()[1]}), 3)"
        run = ["run", "--rm", "-T", "--no-deps", "--entrypoint", "python", "beat", "-c", script]
        plain = stack.run("docker", "compose", *run)
        external = stack.run("docker", "compose", "-f", "compose.yaml", "-f", "compose.external.yaml", *run)

    assert external.returncode == 0, external.stderr
    assert plain.returncode != 0


def test_only_the_front_door_and_flower_are_published_and_on_loopback(stack: Compose) -> None:
    published = {}
    for service in SERVICES:
        for binding in stack.inspect(stack.containers(service)[0])["HostConfig"]["PortBindings"].values():
            published[service] = {end["HostIp"] for end in binding}

    assert published == {"proxy": {"127.0.0.1"}, "flower": {"127.0.0.1"}}


@pytest.fixture(scope="module")
def users(stack: Compose) -> Iterator[dict[str, redis.Redis]]:
    """A client of each role's user, with the password that its container has."""
    passwords = {role: stack.exec(role, "cat", "/run/secrets/redis_password").strip() for role in ROLES}
    clients = {role: stack.redis(role, password) for role, password in passwords.items()}
    yield clients
    for client in clients.values():
        client.close()


def answer_to(user: redis.Redis, command: str) -> str:
    """What Redis says to a command of a role's user."""
    try:
        return f"OK {user.execute_command(*command.split())}"
    except redis.RedisError as error:
        return f"{type(error).__name__} {error}".lower()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "command", ["FLUSHALL", "CONFIG GET *", "KEYS *", "SCAN 0", "SLOWLOG GET", "ACL LIST", "MONITOR", "EVAL return 0"]
)
def test_no_role_may_flush_list_or_reconfigure_redis(users: dict[str, redis.Redis], role: str, command: str) -> None:
    assert "no permissions" in answer_to(users[role], command)


@pytest.mark.parametrize(
    ("role", "command", "allowed"),
    [
        ("web", "BRPOP no-such-queue 1", False),
        ("beat", "BRPOP no-such-queue 1", False),
        ("worker", "BRPOP no-such-queue 1", True),
        ("web", "RPOP no-such-queue", False),
        ("web", "LRANGE default 0 -1", False),
        ("flower", "LRANGE default 0 -1", False),
        ("flower", "LPUSH default x", False),
        ("flower", "HGETALL stack:counters", False),
        ("flower", "BRPOP default 1", False),
        ("flower", "DEL default", False),
        ("web", "DEL default", False),
        ("beat", "DEL default", False),
        ("web", "SET default x", False),
        ("web", "EXPIRE default 0", False),
        ("beat", "HDEL unacked x", False),
        ("beat", "HDEL stack:task:no-such x", True),
        ("beat", "SET stack:no-such x", False),
        ("beat", "HDEL stack:beat:no-such x", True),
        ("beat", "SET celery-task-meta-no-such x", False),
        ("web", "LPUSH unacked x", False),
        ("beat", "LPUSH _kombu.binding.default x", False),
        ("flower", "SREM _kombu.binding.default x", False),
        ("flower", "SADD _kombu.binding.default x", False),
        ("flower", "PUBLISH /0.celery.pidbox x", False),
        ("beat", "PUBLISH /0.celery.pidbox x", False),
        ("worker", "SET redbeat:no-such x", False),
        ("web", "DEL stack:no-such", True),
        ("beat", "SUBSCRIBE x", False),
        ("web", "LLEN default", True),
        ("flower", "LLEN default", True),
    ],
)
def test_each_role_may_do_only_what_it_does(
    users: dict[str, redis.Redis], role: str, command: str, allowed: bool
) -> None:
    answer = answer_to(users[role], command)

    assert answer.startswith("OK") if allowed else "no permissions" in answer, answer


def test_nobody_comes_in_as_the_default_user(stack: Compose) -> None:
    assert "NOAUTH" in stack.exec("redis", "redis-cli", "ping")
    assert "WRONGPASS" in stack.exec("redis", "redis-cli", "auth", "default", "")


def test_django_finds_nothing_to_warn_of_in_the_container(stack: Compose) -> None:
    check = ["python", "app/manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    assert "no issues (2 silenced)" in stack.exec("web", *check)

    open_to_all = stack.run("docker", "exec", "-e", "WEB_ADDRESS=0.0.0.0:8000", stack.containers("web")[0], *check)
    assert open_to_all.returncode == 1
    assert "stack.E002" in open_to_all.stderr


def test_the_work_of_a_day_meets_no_refusal_of_redis(stack: Compose, api: Client) -> None:
    """What roles ask for and may not do is in Redis's log, whoever hid the error."""
    stack.redis_cli("ACL", "LOG", "RESET")
    for task_id in [api.submit("add", 1, 2), api.submit("flaky", 1), api.submit("summarize", "seattle-weather")]:
        assert api.done(task_id, within=30)["successful"]
    revoked = api.submit("add", 1, 2, countdown=60)
    api.call("DELETE", f"/api/tasks/{revoked}")
    canvas = (
        "from celery import chain, chord, group; from demo.tasks import add, xsum\n"
        "print(chord([add.s(i, i) for i in range(5)], xsum.s())().get(timeout=20),"
        " group(add.s(i, i) for i in range(3))().get(timeout=20), chain(add.s(1, 2), add.s(3))().get(timeout=20))"
    )
    shell = ["docker", "exec", "-w", "/srv/app", "-e", "SERVICE_ROLE=worker"]
    done = stack.run(*shell, stack.containers("worker")[0], "python", "manage.py", "shell", "-c", canvas)
    assert "20 [0, 2, 4] 6" in done.stdout, done.stdout + done.stderr
    stack.restart("flower")
    login = ("flower", stack.flower_password)
    # Flower gives a worker one second to answer.
    wait_until(lambda: requests.get(f"{stack.flower_url}/api/workers?refresh=1", auth=login, timeout=30).json(), 30)

    assert stack.redis_cli("ACL", "LOG") == ""
