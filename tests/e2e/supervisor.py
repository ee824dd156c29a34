"""The supervisord runtime as a target: `make up` in a private copy of the checkout, or the checkout itself."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

import psutil
import redis
from supervisor.xmlrpc import SupervisorTransport

from tests.e2e.targets import ended, refusals
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
ROLES = ("web", "worker", "beat", "flower")
# What a newcomer's shell has; a variable of the product that the developer has set must not decide a test.
SHELL = ("PATH", "HOME", "LANG", "USER", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_INDEX_URL", "PIP_CONFIG_FILE")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are held until the last is found, so that they differ."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def copy_checkout() -> Path:
    """A copy of the checkout's files, as git sees them, with its .venv linked.

    Its path is short, because the path of supervisord's socket must be under 100 bytes; it has a space, as the
    folders of people do; and it is a git checkout, as a newcomer's is.
    """
    root = Path(tempfile.mkdtemp(prefix="e2e ", dir="/tmp"))
    listed = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=CHECKOUT, text=True)
    for name in listed.rstrip("\0").split("\0"):
        if (CHECKOUT / name).is_file():  # git lists a deleted file until the deletion is committed
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, root / name)
    (root / ".venv").symlink_to(CHECKOUT / ".venv")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    commit(root, "first")
    return root


def commit(root: Path, message: str) -> str:
    """Commit what is in a copy, and return the commit."""
    me = ("-c", "user.name=e2e", "-c", "user.email=e2e@example.com")
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    subprocess.run(["git", *me, "commit", "--quiet", "--allow-empty", "-m", message], cwd=root, check=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=root, text=True).strip()


class Supervisor:
    """A folder with the product in it, and the environment that its operator gives to `make`."""

    api_token = ""
    keeps = True

    def __init__(self, root: Path, env: dict[str, str]):
        self.root = root
        self.env = {name: os.environ[name] for name in SHELL if name in os.environ} | env
        host, _, web_port = self._value("WEB_BIND", "127.0.0.1:8000").rpartition(":")
        self.web_port = int(web_port)
        self.flower_port = int(self._value("FLOWER_BIND", "127.0.0.1:5555").rpartition(":")[2])
        self.redis_port = int(self._value("REDIS_PORT", "6390"))
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "localhost": "127.0.0.1"}.get(host, host)
        self.base_url = f"http://{host}:{self.web_port}"
        self.flower_url = f"http://127.0.0.1:{self.flower_port}"

    @classmethod
    def copy(cls, **variables: str) -> "Supervisor":
        """A target in a copy of the checkout, on free ports; `remove` takes it away."""
        web, flower, broker = free_ports(3)
        ports = {"WEB_BIND": f"127.0.0.1:{web}", "FLOWER_BIND": f"127.0.0.1:{flower}", "REDIS_PORT": str(broker)}
        return cls(copy_checkout(), ports | variables)

    def _value(self, name: str, default: str) -> str:
        """A variable as the product sees it: the environment's, else that of `.env`."""
        file = self.root / ".env"
        lines = file.read_text().splitlines() if file.exists() else []
        return self.env.get(name) or dict(line.partition("=")[::2] for line in lines).get(name) or default

    # ---- The interface of a target

    @property
    def flower_password(self) -> str:
        return self.secret("flower/flower_password")

    def up(self) -> None:
        self.make("up")

    def down(self) -> None:
        self.make("down")

    def stop(self, role: str) -> None:
        if role in self.pids():
            self.control("stop", role)

    def start(self, role: str) -> None:
        # supervisorctl would wait for `startsecs`, long after the role is ready.
        with self._rpc() as supervisord:
            supervisord.startProcess(role, False)
        self.wait_ready(role)

    def restart(self, role: str) -> None:
        self.stop(role)
        self.start(role)

    def signal(self, role: str, name: str) -> None:
        os.kill(self.pid(role), signal.Signals[f"SIG{name}"])

    def scale(self, role: str, count: int) -> None:
        self.make("scale", f"{role}={count}")

    def check(self, role: str, ready: bool = False) -> str | None:
        command = [".venv/bin/python", "app/service.py", "check", role.partition("-")[0], *["--ready"][: int(ready)]]
        done = self.run(command, INSTANCE=role)
        return None if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"

    def lives(self) -> dict[str, int]:
        return {name: pid for name, pid in self.pids().items() if name != "redis"}

    def logs(self, role: str | None = None) -> str:
        files = sorted((self.root / "run" / "log").glob(f"{role}*.log" if role else "*.log"))
        return "".join(file.read_text(errors="replace") for file in files)

    def refused(self) -> list[str]:
        with self.redis() as admin:
            return refusals(admin)

    # ---- What only this target can do

    def run(self, command: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the target's folder, as its operator would."""
        return ended(command, self.root, self.env | env, 150)

    def make(self, *arguments: str) -> str:
        """`make` with these arguments; its output, or an AssertionError with it."""
        done = self.run(["make", *arguments])
        assert done.returncode == 0, f"make {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def control(self, *arguments: str) -> str:
        """`supervisorctl` with these arguments; its output, or an AssertionError with it."""
        done = self.run([".venv/bin/supervisorctl", "-c", "supervisord.conf", *arguments])
        assert "ERROR" not in done.stdout, done.stdout
        return done.stdout.strip()

    def manage(self, *arguments: str) -> str:
        """The output of manage.py with the rights of the web role."""
        done = self.run([".venv/bin/python", "app/manage.py", *arguments])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def _rpc(self) -> Iterator[Any]:
        """supervisord's own interface, for what supervisorctl does not offer."""
        transport = SupervisorTransport(None, None, f"unix://{self.root}/run/supervisor.sock")
        with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            yield proxy.supervisor

    def pid(self, role: str) -> int:
        return int(self.control("pid", role))

    def pids(self) -> dict[str, int]:
        """The main process of each program that runs."""
        with self._rpc() as supervisord:
            return {info["name"]: info["pid"] for info in supervisord.getAllProcessInfo() if info["pid"]}

    def pids_or_none(self) -> dict[str, int]:
        """As `pids`, and nothing where supervisord does not run."""
        try:
            return self.pids()
        except OSError:
            return {}

    def wait_ready(self, role: str) -> None:
        if role == "redis":
            wait_until(self._redis_answers, 20)
        else:
            # A check is a process of its own: asked more often, all of them would take the CPU from what they wait for.
            wait_until(lambda: self.check(role, ready=True) is None or self._not_ready(role), 40, every=0.4)

    def _not_ready(self, role: str) -> bool:
        raise AssertionError(self.check(role, ready=True))

    def _redis_answers(self) -> bool:
        try:
            with self.redis() as admin:
                return bool(admin.ping())
        except redis.RedisError as error:
            raise OSError(error) from error

    def redis(self) -> Any:
        """A client with the operator's rights."""
        password = self.secret("redis/admin_password")
        return redis.Redis(port=self.redis_port, username="admin", password=password, decode_responses=True)

    def secret(self, name: str) -> str:
        return (self.root / "run" / "secrets" / name).read_text().strip()

    def add_standby_beat(self) -> str:
        """Run a second beat, with the same environment, and return its name."""
        text = (self.root / "supervisord.conf").read_text()
        section = re.search(r"^\[program:beat\]\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
        assert section
        lines = section[1].replace("%(here)s", str(self.root))
        (self.root / "run/supervisor.d/beat-2.conf").write_text(f"[program:beat-2]\n{lines}")
        self.control("update")
        self.wait_ready("beat-2")
        return "beat-2"

    def remove_standby_beat(self) -> None:
        (self.root / "run/supervisor.d/beat-2.conf").unlink()
        self.control("update")

    @contextmanager
    def restarted_with(self, role: str, line: str) -> Iterator[None]:
        """Run the block with one more line in `.env`, which `role` reads at its start."""
        file = self.root / ".env"
        before = file.read_text() if file.exists() else ""
        file.write_text(f"{before}\n{line}\n")
        try:
            self.restart(role)
            yield
        finally:
            file.write_text(before)
            self.restart(role)

    def processes(self) -> list[psutil.Process]:
        """Every process that has to do with this folder, by its working directory or its command line."""
        found = []
        for process in psutil.process_iter():
            try:
                about = [process.cwd(), *process.cmdline()]
                if process.status() != psutil.STATUS_ZOMBIE and any(str(self.root) in text for text in about):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def remove(self) -> None:
        """Stop this copy and delete it; what does not stop is killed, by id, so that no run leaves a process."""
        assert self.root != CHECKOUT
        try:
            self.down()
        finally:
            for process in self.processes():
                process.kill()
            shutil.rmtree(self.root, ignore_errors=True)
