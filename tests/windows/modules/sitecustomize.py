"""On the path of a process under test: takes away what Windows does not have, as far as Linux's Python lives on.

Ctrl+Break is SIGUSR1 here: another number, and it ends a process that does not handle it, as on Windows.
"""

import builtins
import importlib
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import time
from typing import Any

MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "readline", "curses", "spwd", "crypt")
CALLS = (
    "fork forkpty setsid setpgid getpgid getpgrp killpg getuid geteuid getgid getegid getgroups setuid setgid "
    "seteuid setegid setreuid setregid initgroups chown lchown fchown fchmod chroot nice getpriority setpriority "
    "mkfifo mknod wait wait3 wait4 waitid register_at_fork uname sysconf getloadavg sched_getaffinity "
    "sched_setaffinity posix_spawn posix_spawnp ctermid ttyname openpty tcgetpgrp sendfile statvfs pathconf"
)
SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"}

# billiard and Celery ask sys.platform and take their Windows branches there; here they must have what Linux's need.
_real = {name: importlib.import_module(name) for name in ("fcntl", "resource")}
_import = builtins.__import__


def _without_posix(name: str, scope: Any = None, *rest: Any, **options: Any) -> Any:
    if name in _real and str((scope or {}).get("__name__")).startswith("billiard."):
        return _real[name]
    return _import(name, scope, *rest, **options)


builtins.__import__ = _without_posix
for name in MODULES:
    sys.modules[name] = None  # type: ignore[assignment]  # importing it raises ImportError
_geteuid = os.geteuid


def _only_celery() -> int:
    caller = sys._getframe(1).f_globals["__name__"]
    if caller != "celery.platforms":
        raise AttributeError(f"module 'os' has no attribute 'geteuid' ({caller})")
    return _geteuid()


for name in CALLS.split():
    if hasattr(os, name):
        delattr(os, name)
os.geteuid = _only_celery
for name in ("epoll", "poll"):
    delattr(select, name)
for name in [name for name in dir(signal) if name.startswith("SIG") and name[3] != "_" and name not in SIGNALS]:
    delattr(signal, name)
for name in ("alarm", "setitimer", "pause", "sigwait", "pthread_kill", "pthread_sigmask", "siginterrupt"):
    delattr(signal, name)
# A Redis that the machine happens to have is not these tests' to find.
_connect = socket.socket.connect


def _not_to_redis(self: socket.socket, place: Any) -> None:
    if isinstance(place, tuple) and place[1] == 6379:
        raise ConnectionRefusedError("no Redis for a test")
    _connect(self, place)


socket.socket.connect = _not_to_redis  # type: ignore[method-assign]
signal.SIGBREAK = signal.CTRL_BREAK_EVENT = 10  # type: ignore[attr-defined]
subprocess.Popen.kill = lambda self: os.kill(self.pid, 9)  # type: ignore[method-assign]
platform.system = lambda: "Windows"

_sleep, _signal = time.sleep, signal.signal


def _windows_signal(number: Any, handler: Any) -> Any:
    if number not in [getattr(signal, name) for name in (*SIGNALS, "SIGBREAK")]:
        raise ValueError("invalid signal value")
    return _signal(number, handler)


signal.signal = _windows_signal  # type: ignore[assignment]
# What a task in C does that never lets go: the whole process stands still, eventlet's hub with it.
_signal(12, lambda *_: _sleep(600))  # type: ignore[arg-type]
