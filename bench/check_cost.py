"""What one health check costs: CPU time of `service.py check` against a Python that does nothing, and against
`celery inspect ping`, the check that most stacks use.

Run by `make bench` while the stack runs. All are whole processes, measured in turn, so that a drift of the
machine meets all of them.
"""

import os
import platform
import statistics
import sys
from pathlib import Path

APP = Path(__file__).resolve().parent.parent / "app"
SERVICE = APP / "service.py"
RUNS, PINGS = 40, 5
PING = "celery inspect ping"


def cpu_milliseconds(arguments: list[str]) -> float:
    """User and system time of one process, in milliseconds."""
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (1, 2)],
    )
    _, status, used = os.wait4(pid, 0)
    if status:
        # One that fails is done early: its figure would be worth nothing.
        sys.exit(f"{' '.join(arguments)} failed with {os.waitstatus_to_exitcode(status)}: make up first")
    return (used.ru_utime + used.ru_stime) * 1000


def main() -> None:
    commands = {"python -c pass": ["-c", "pass"]}
    for role in ("web", "worker", "beat", "flower"):
        commands[f"check {role}"] = [str(SERVICE), "check", role]
        commands[f"check {role} --ready"] = [str(SERVICE), "check", role, "--ready"]
    os.environ.update(PYTHONPATH=str(APP), SERVICE_ROLE="worker")
    commands[PING] = ["-m", "celery", "-A", "config", "inspect", "ping"]
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(RUNS):
        for name, arguments in commands.items():
            if name != PING or run < PINGS:
                samples[name].append(cpu_milliseconds(arguments))
    bare = statistics.median(samples["python -c pass"])
    print(f"{RUNS} runs each, Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    for name, values in samples.items():
        median = statistics.median(values)
        print(f"{name:24} {median:6.1f} ms of CPU  {median / bare:4.2f} x bare Python")


if __name__ == "__main__":
    main()
