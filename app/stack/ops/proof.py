"""Run one task through the front door of a stack that runs: `python -m stack.ops.proof` in a web container."""

import sys
import time
from typing import Any

from stack.ops.web import Failed, Waits, api_path, call
from stack.runtime.env import environment


def prove(env: dict[str, str]) -> tuple[str, Any]:
    """Run one task through the front door: add(2, 3), or `ping` in a project without the demo.

    Returns:
        (str, Any): the call as people write it, and its result.

    Raises:
        Waits: the stack works, and has other tasks to do first.
        Failed: it does not work.
    """
    api = api_path(env)
    names = [task["name"] for task in call(env, f"{api}tasks")]
    name, args = ("add", [2, 3]) if "add" in names else ("ping", [])
    task = f"{name}({', '.join(map(str, args))})"
    accepted = call(env, f"{api}tasks/{name}", {"args": args})
    # Not its "url": that is for a browser, behind a proxy that may take a part of the path away.
    done = call(env, f"{api}tasks/{accepted['id']}?wait=20")
    if not done["ready"] and (backlog := before(env, api)):
        raise Waits(f"every role is ready; {task} has its turn later: {backlog}")
    if not done["successful"]:
        raise Failed(f"{name} did not succeed: {done}; see the log of the worker")
    return task, done["result"]


def before(env: dict[str, str], api: str) -> str | None:
    """What a queued task waits for, or None when nothing is before it. Raises as `prove` does."""
    queues = call(env, f"{api}queues")
    waiting = max(0, sum(queue["waiting"] for queue in queues["queues"]) - 1)
    if not waiting and not queues["unacknowledged"]:
        return None
    return f"{waiting} tasks wait, and workers hold {queues['unacknowledged']}"


def main() -> str | None:
    """Print what was proved; what did not work is the exit's text."""
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
