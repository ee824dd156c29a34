"""Flower's options; the role table names this file."""

import os

from stack.runtime.env import environment, get

_env = environment()
_state = os.path.join(get("RUN_DIR", _env), "flower")
os.makedirs(_state, mode=0o700, exist_ok=True)

address, port = get("FLOWER_BIND", _env)
# Page, API and metrics ask for this password; it comes from a file and is never an argument.
basic_auth = ["flower:" + get("FLOWER_PASSWORD", _env)]
read_only = get("FLOWER_READ_ONLY", _env)
# Flower 2 keeps 100,000 tasks by default, and a dead worker's series for ever. With 10,000 it takes 145 MiB at most,
# however many have passed (50,000 in `make bench`; containers may use 256).
max_tasks = 10_000
purge_offline_workers = 3600
# What it has seen outlives it. Written aside and renamed; one that cannot be read is moved aside at start.
persistent = True
db = os.path.join(_state, "state")
# Milliseconds. It answers nobody while it saves, a second or so; what a kill loses is this much.
state_save_interval = 60_000
