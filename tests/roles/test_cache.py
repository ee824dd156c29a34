"""Django's cache on a Redis of its own, with the configuration and the user that compose and Kubernetes give it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from stack.ops import secretfiles
from tests.roles.conftest import PROJECT, free_port
from tests.waiting import Process, wait_until

pytestmark = pytest.mark.xdist_group("cache")

# One process of the project's code; each line that it reads is run, and how long it took and what came of it printed.
ASK = """
import sys, time
from django.core.cache import cache
for line in sys.stdin:
    begun = time.monotonic()
    try:
        found = eval(line)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    print(round(time.monotonic() - begun, 2), found, flush=True)
"""


class Cache:
    """The server, as the component starts it, and a process that uses it."""

    def __init__(self, folder: Path):
        secrets = folder / "secrets"
        secretfiles.make(secrets)
        (secrets / "cache").mkdir()
        self.password = secrets / "cache" / "cache_password"
        self.password.write_text("the-cache-s-own")
        acl = folder / "users.acl"
        acl.write_text(secretfiles.cache_acl(secrets))
        program = subprocess.check_output([sys.executable, PROJECT / "deploy/redis_server.py", "--find"], text=True)
        self.port = free_port()
        options = ["--port", str(self.port), "--dir", str(folder), "--maxmemory", "3mb", "--aclfile", str(acl)]
        command = [program.strip(), str(PROJECT / "k8s/components/cache/cache.conf"), *options]
        self.server = Process(command, stdout=subprocess.DEVNULL)
        self.client: Any = redis.Redis(port=self.port, password="the-cache-s-own", socket_timeout=5)
        wait_until(self._answers, 10)
        env = {
            "SECRET_KEY": "k" * 50,
            "REDIS_PASSWORD": "r" * 20,
            "RUN_DIR": str(folder),
            "CACHE_URL": f"redis://127.0.0.1:{self.port}/0",
            "CACHE_PASSWORD_FILE": str(self.password),
        }
        pipe = subprocess.PIPE
        shell = [sys.executable, "-W", "ignore", "manage.py", "shell", "--no-imports", "-c", ASK]
        self.user = Process(shell, cwd=PROJECT / "app", env=env, stdin=pipe, stdout=pipe, text=True)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError as error:
            raise OSError(error) from error

    def run(self, line: str) -> tuple[float, str]:
        """Seconds, and what the project's code sees."""
        assert self.user.stdin
        assert self.user.stdout
        self.user.stdin.write(line + "\n")
        self.user.stdin.flush()
        seconds, _, found = self.user.stdout.readline().strip().partition(" ")
        return float(seconds), found

    def end(self) -> None:
        self.client.close()
        self.user.communicate(timeout=20)
        self.server.send_signal(signal.SIGCONT)
        self.server.terminate()
        self.server.wait(20)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    server = Cache(tmp_path_factory.mktemp("cache"))
    yield server
    server.end()


def test_django_s_cache_does_all_that_it_can_with_the_user_it_has(cache: Cache) -> None:
    for line, expected in (
        ("cache.set('a', {'b': 1}, 60), cache.get('a')", "(None, {'b': 1})"),
        ("cache.add('n', 1), cache.incr('n', 2), cache.touch('n', 60), cache.has_key('n')", "(True, 3, True, True)"),
        ("cache.set_many({'x': 1, 'y': 2}, 60), cache.get_many(['x', 'y'])", "([], {'x': 1, 'y': 2})"),
        ("cache.delete('a'), cache.delete_many(['x', 'y']), cache.clear(), cache.get('n')", "(True, None, True, None)"),
    ):
        assert cache.run(line)[1] == expected


@pytest.mark.parametrize(
    "command", [("CONFIG", "SET", "dir", "/tmp"), ("ACL", "SETUSER", "x", "on"), ("SHUTDOWN",), ("MONITOR",)]
)
def test_whoever_has_its_password_neither_configures_nor_stops_it(cache: Cache, command: tuple[str, ...]) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        cache.client.execute_command(*command)
    assert cache.client.execute_command("ACL", "LOAD"), "a rotation has to"


def test_a_full_cache_forgets_and_takes_what_is_new(cache: Cache) -> None:
    _, found = cache.run("[cache.set(f'k{n}', 'v' * 10_000) for n in range(500)][-1], cache.get('k499')[:3]")

    assert found == "(None, 'vvv')"
    assert cache.client.info("stats")["evicted_keys"] > 100


def test_a_cache_that_hangs_or_is_gone_holds_nobody_up(cache: Cache) -> None:
    cache.run("cache.get('a')")  # connected
    cache.server.send_signal(signal.SIGSTOP)
    for _ in range(3):
        seconds, found = cache.run("cache.get('a')")
        assert "TimeoutError" in found
        assert seconds < 1.5
    cache.server.send_signal(signal.SIGCONT)
    wait_until(lambda: "Error" not in cache.run("cache.set('a', 1)")[1], 10)

    cache.server.kill()
    cache.server.wait(10)
    seconds, found = cache.run("cache.get('a')")
    assert "ConnectionError" in found
    assert seconds < 1.5
