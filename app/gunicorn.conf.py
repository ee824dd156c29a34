"""gunicorn's options; the role table names this file."""

import os

from stack.runtime import logs
from stack.runtime.env import environment, get

_env = environment()
_host, _port = get("WEB_BIND", _env)

bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
_asgi = get("WEB_SERVER", _env) == "asgi"
worker_class = "stack.http.asgi_server.Worker" if _asgi else "stack.http.server.Worker"
workers = get("WEB_WORKERS", _env)
threads = 1 if _asgi else get("WEB_THREADS", _env)
timeout = 30
graceful_timeout = min(25, get("STOP_GRACE", _env) - 10)
# Nothing of what a client or a proxy says about itself is taken here: stack/http/proxies.py knows whom to believe.
forwarded_allow_ips = forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
header_map = "drop"  # a header's name with `_` would be another one's in WSGI
worker_connections = 1000 if _asgi else 400  # of each process; beyond, the one that waits for longest makes room
keepalive = 75  # longer than a proxy keeps its side open, so that none sends into a closing connection
# A process that ends takes its websockets with it.
max_requests, max_requests_jitter = (0, 0) if _asgi else (10_000, 2_000)
websocket_max_message_size = get("MAX_UPLOAD", _env) * 1024 * 1024
# The heartbeat between master and workers is a file: on a disk it stalls when the disk does.
_TMPFS = "/dev/shm"  # noqa: S108
worker_tmp_dir = _TMPFS if os.path.isdir(_TMPFS) else None
control_socket_disable = True
logconfig_dict = logs.logging_config(get("LOG_LEVEL", _env), get("LOG_FORMAT", _env))
