"""Run one task through the front door of a web pod: add(2, 3), or `ping` in a project without the demo.

deploy/cluster.py gives this text to the pod's Python, where the token is.
"""

import json
import os
import time
import urllib.request

BASE = "http://127.0.0.1:8000"


def call(path: str, body: object = None) -> object:
    """One call of the API; a body makes it a POST."""
    with open(os.environ["API_TOKEN_FILE"], encoding="utf-8") as file:
        headers = {"Authorization": f"Bearer {file.read().strip()}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, headers)
    with urllib.request.urlopen(request, timeout=35) as answer:
        return json.load(answer)


begun = time.monotonic()
name, args = ("add", [2, 3]) if "add" in [task["name"] for task in call("/api/tasks")] else ("ping", [])
done = call(call(f"/api/tasks/{name}", {"args": args})["url"] + "?wait=20")
if not done["successful"]:
    raise SystemExit(f"{name} did not succeed: {done}")
print(f"{name}({', '.join(map(str, args))}) = {done['result']}, over HTTP, Redis and a worker "
      f"({time.monotonic() - begun:.1f} s)")  # fmt: skip
