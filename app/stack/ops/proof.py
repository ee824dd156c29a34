"""Run one task through the front door of a stack that runs: `python -m stack.ops.proof` in a web container."""

import http.client
import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from stack.runtime.env import environment, get

# No proxy stands between.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """The stack does not do its work; the text says where it broke."""


class Waits(Failed):
    """The task of the proof waits behind others, or could not be queued for their number: that is no fault."""


def prove(env: dict[str, str]) -> tuple[str, Any]:
    """Run one task through the front door: add(2, 3), or `ping` in a project without the demo.

    Raises:
        Waits: the stack works, and has other tasks to do first.
        Failed: it does not work.
    """
    names = [task["name"] for task in call(env, "/api/tasks")]
    name, args = ("add", [2, 3]) if "add" in names else ("ping", [])
    task = f"{name}({', '.join(map(str, args))})"
    accepted = call(env, f"/api/tasks/{name}", {"args": args})
    done = call(env, f"{accepted['url']}?wait=20")
    if not done["ready"] and (backlog := before(env)):
        raise Waits(f"every role is ready; {task} has its turn later: {backlog}")
    if not done["successful"]:
        raise Failed(f"{name} did not succeed: {done}; see the log of the worker")
    return task, done["result"]


def before(env: dict[str, str]) -> str | None:
    """What a queued task waits for, or None when nothing is before it."""
    queues = call(env, "/api/queues")
    waiting = max(0, sum(queue["waiting"] for queue in queues["queues"]) - 1)
    if not waiting and not queues["unacknowledged"]:
        return None
    return f"{waiting} tasks wait, and workers hold {queues['unacknowledged']}"


def call(env: dict[str, str], path: str, body: Any = None) -> Any:
    """One HTTP call to the web role; a body makes it a POST.

    Raises:
        Waits: it was answered with 429, because the queue is full.
        Failed: it was not answered, or with another error.
    """
    # The web role answers to its own names only, whichever address it listens on.
    host = next((name for name in get("ALLOWED_HOSTS", env) if name[0] not in ".*"), "localhost")
    headers = {"Content-Type": "application/json", "Host": host}
    if token := get("API_TOKEN", env):
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(base(env) + path, data, headers)  # noqa: S310 (http, to our own web role)
        with DIRECT.open(request, timeout=35) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        if error.code == 429:
            raise Waits(f"every role is ready; {path}: {json.loads(text)['error']['message']}") from error
        raise Failed(f"{path}: {error}: {text[:500]}; see the log of the web role") from error
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{path}: {error}; see the log of the web role") from error


def base(env: dict[str, str], variable: str = "WEB_BIND") -> str:
    """The address of the web role or of Flower, for a client on this machine."""
    host, port = get(variable, env)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def main() -> str | None:
    env, begun = environment(), time.monotonic()
    try:
        task, result = prove(env)
        print(f"{task} = {result}, over HTTP, Redis and a worker ({time.monotonic() - begun:.1f} s)")
    except Waits as reason:
        print(reason)
    except Failed as reason:
        return str(reason)
    return None


if __name__ == "__main__":
    sys.exit(main())
