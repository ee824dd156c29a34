"""gunicorn's options; it reads this file from its working directory."""

import os

from stack import logs
from stack.env import environment, get

_env = environment()
_host, _port = get("WEB_BIND", _env)

bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
worker_class = "gthread"
workers = get("WEB_WORKERS", _env)
threads = get("WEB_THREADS", _env)
timeout = 30
graceful_timeout = min(25, get("STOP_GRACE", _env) - 10)
keepalive = 75  # longer than a proxy keeps its side open, so that none sends into a closing connection
max_requests, max_requests_jitter = 10_000, 2_000
# The heartbeat between master and workers is a file: on a disk it stalls when the disk does.
_TMPFS = "/dev/shm"  # noqa: S108
worker_tmp_dir = _TMPFS if os.path.isdir(_TMPFS) else None
control_socket_disable = True
logconfig_dict = logs.logging_config(get("LOG_LEVEL", _env), get("LOG_FORMAT", _env))
