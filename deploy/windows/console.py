"""Several programs under one console: each line with its program's name, one Ctrl+C for all.

honcho, the library for this, ends programs on Windows by TerminateProcess of the shell around them: the program
lives on without its console, and a worker requeues nothing. Here each program is a process group of its own
that is told to stop by Ctrl+Break, the one signal Windows has for that, and gets time to do so.
"""

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

ON_WINDOWS = hasattr(subprocess, "CREATE_NEW_PROCESS_GROUP")
# Ctrl+C of the console reaches this process alone, and the programs stop in the order that it chooses.
GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if ON_WINDOWS else {"process_group": 0}
STOP = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM)
AGAIN = 5  # seconds before a program that ended by itself is started again


class Program:
    """One program: how to start it, and its process while it has one."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], folder: Path, last: bool = False):
        self.name, self.command, self.env, self.folder, self.last = name, command, env, folder, last
        self.process: subprocess.Popen[bytes] | None = None
        self.start_at = 0.0
        self.told = 0  # how many times it was told to stop
        self.killed = False
        self.ends = 0  # how many times it ended by itself

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Console:
    """Runs programs until Ctrl+C, starts again what ends by itself, and leaves none behind.

    Args:
        logs: a folder that gets each program's lines too, as <name>.log.
        grace: seconds that a stop may take before what is left is ended by force.
    """

    def __init__(self, logs: Path, grace: float):
        self.logs, self.grace = logs, grace
        self.programs: list[Program] = []
        self.stops = self.code = 0
        self.stop_begun = 0.0
        self._lines: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        # From the first program on: one that is being started must not be left behind.
        for name in ("SIGINT", "SIGBREAK", "SIGTERM"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._interrupted)

    def say(self, text: str, name: str = "dev") -> None:
        """Print a text under a program's name; safe in any thread."""
        for line in text.splitlines():
            self._lines.put((name, line))

    def fail(self, text: str) -> None:
        """Say why and stop everything; `run` returns 1. Safe in any thread."""
        self.say(text)
        self.code, self.stops = 1, max(self.stops, 1)

    def start(self, program: Program) -> None:
        """Start a program; its lines are read by a thread, so that it never waits for the console.

        Text that is selected with the mouse halts a Windows console, and whatever writes to it directly.
        """
        program.process = subprocess.Popen(
            program.command,
            cwd=program.folder,
            env=program.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **GROUP,  # type: ignore[arg-type]
        )
        if program not in self.programs:
            self.programs.append(program)
        threading.Thread(target=self._read, args=(program.name, program.process), daemon=True).start()

    def _read(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        with open(self.logs / f"{name}.log", "ab") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                self.say(line.decode("utf-8", "replace").rstrip(), name)

    def run(self, beside: Callable[[], None]) -> int:
        """Run `beside` in a thread, print what all say, and return when every program has ended.

        Returns:
            int: 0 after Ctrl+C, 1 after `fail`.
        """
        threading.Thread(target=beside, daemon=True).start()
        while self.stops == 0 or any(program.runs() for program in self.programs):
            self.print_lines(0.1)
            self._stop() if self.stops else self._revive()
        self.print_lines(0.2)
        return self.code

    def print_lines(self, wait: float) -> None:
        """Print what was said until now; wait so many seconds for the first line."""
        try:
            name, line = self._lines.get(timeout=wait)
            while True:
                print(f"{name:<7}| {line}", flush=True)
                name, line = self._lines.get_nowait()
        except queue.Empty:
            return

    def _interrupted(self, *_: object) -> None:
        self.stops += 1

    def _stop(self) -> None:
        if not self.stop_begun:
            self.stop_begun = time.monotonic()
            self.say("stopping; Ctrl+C again does not wait for running tasks but requeues them")
        others = any(program.runs() for program in self.programs if not program.last)
        forced = time.monotonic() - self.stop_begun > self.grace
        for program in self.programs:
            if not program.runs() or (program.last and others):
                continue
            if forced or self.stops > 2:
                if not program.killed:
                    self.say(f"{program.name} does not stop: ending it by force")
                program.killed = True
                program.process.kill()  # type: ignore[union-attr]
            elif program.told < self.stops:
                program.told = self.stops
                try:
                    os.kill(program.process.pid, STOP)  # type: ignore[union-attr]
                except OSError:  # started without a console, which Ctrl+Break needs
                    program.process.kill()  # type: ignore[union-attr]

    def _revive(self) -> None:
        for program in self.programs:
            if program.runs():
                continue
            if not program.start_at:
                code = program.process.poll() if program.process else None
                self.say(f"{program.name} ended by itself with exit code {code}; it starts again in {AGAIN} s")
                program.start_at = time.monotonic() + AGAIN
                program.ends += 1
            elif time.monotonic() > program.start_at:
                program.start_at = 0.0
                self.start(program)
