"""One million calls of `add` through the front door: a request of a few bytes, 1,000 chunks, every result stored.

Run by `make bench` while the stack runs. The promise is a minute on two cores.
"""

import json
import os
import sys
import time
import urllib.request
from typing import Any

COUNT, SIZE = int(os.environ.get("CALLS", "1000000")), 1000
URL = f"http://{os.environ.get('WEB_BIND') or '127.0.0.1:8000'}"


def call(method: str, path: str, body: Any = None) -> Any:
    headers = {"Content-Type": "application/json"}
    if token := os.environ.get("API_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def main() -> None:
    begun = time.monotonic()
    body = {"name": "add", "range": [0, COUNT], "size": SIZE}
    url = call("POST", "/api/canvas/chunks", body)["url"]
    taken = time.monotonic() - begun
    while not (state := call("GET", f"{url}?wait=30"))["ready"]:
        pass
    seconds = time.monotonic() - begun
    last = call("GET", f"/api/tasks/{state['members'][-1]}")["result"][-1]
    if (state["completed"], last) != (COUNT, 2 * (COUNT - 1)):
        sys.exit(f"wrong: {state['state']}, {state['completed']} of {COUNT} done, the last result is {last}")
    print(
        f"{COUNT:,} calls of add in {COUNT // SIZE} chunks, by a request of {len(json.dumps(body))} bytes: "
        f"sent in {taken:.1f} s, done with all results stored in {seconds:.1f} s, on {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
