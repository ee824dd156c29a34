"""Flower's options; it reads this file from its working directory."""

from stack.env import environment, get

_env = environment()

address, port = get("FLOWER_BIND", _env)
# Page and API ask for this password; it comes from a file and is never an argument.
basic_auth = ["flower:" + get("FLOWER_PASSWORD", _env)]
# Flower 2 keeps 100,000 tasks by default, and a dead worker's series for ever.
max_tasks = 10_000
purge_offline_workers = 3600
