"""One million calls of `add` through the front door: a request of a few bytes, 1,000 chunks, every result stored.

Run by `make bench` while the stack runs. The promise is a minute on two cores.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))
from stack.ops.web import api_path, call
from stack.runtime.env import environment

COUNT, SIZE = int(os.environ.get("CALLS", "1000000")), 1000


def main() -> None:
    env = environment()
    api, begun = api_path(env), time.monotonic()
    body = {"name": "add", "range": [0, COUNT], "size": SIZE}
    url = call(env, f"{api}canvas/chunks", body)["url"]
    taken = time.monotonic() - begun
    while not (state := call(env, f"{url}?wait=30"))["ready"]:
        pass
    seconds = time.monotonic() - begun
    last = call(env, f"{api}tasks/{state['members'][-1]}")["result"][-1]
    if (state["completed"], last) != (COUNT, 2 * (COUNT - 1)):
        sys.exit(f"wrong: {state['state']}, {state['completed']} of {COUNT} done, the last result is {last}")
    print(
        f"{COUNT:,} calls of add in {COUNT // SIZE} chunks, by a request of {len(json.dumps(body))} bytes: "
        f"sent in {taken:.1f} s, done with all results stored in {seconds:.1f} s, on {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
