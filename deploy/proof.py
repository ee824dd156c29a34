"""Wait until the stack is ready, run one task through its front door, and say where things are."""

import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any

from place import ROLES, Stop
from stack.checks import check
from stack.env import get
from stack.roles import open_api

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def not_ready(env: dict[str, str], programs: list[str]) -> dict[str, str]:
    """Which of `programs` are not ready, and why; a program of the team's own has no check of ours."""
    found = {}
    for name in programs:
        role = name.partition("-")[0]
        if role not in ROLES:
            continue
        if reason := check(role, env | {"SERVICE_ROLE": role, "INSTANCE": name}, ready=True):
            found[name] = reason
    return found


def wait_ready(env: dict[str, str], programs: list[str], seconds: float = 60) -> None:
    """Wait until the readiness check of each of `programs` passes."""
    print("waiting until every role is ready ...", flush=True)
    end, waiting = time.monotonic() + seconds, dict.fromkeys(programs, "")
    while waiting := not_ready(env, list(waiting)):
        if time.monotonic() > end:
            raise Stop(
                "\n".join(f"{name} is not ready: {why}; see run/log/{name}.log" for name, why in waiting.items())
            )
        time.sleep(0.1)


class Waits(Stop):
    """The task of the proof waits behind others, or could not be queued for their number: that is no fault."""


def prove(env: dict[str, str]) -> tuple[str, Any]:
    """Run one task through the front door: add(2, 3), or `ping` in a project without the demo.

    Raises:
        Waits: the stack works, and has other tasks to do first.
        Stop: it does not work.
    """
    names = [task["name"] for task in call(env, "/api/tasks")]
    name, args = ("add", [2, 3]) if "add" in names else ("ping", [])
    task = f"{name}({', '.join(map(str, args))})"
    accepted = call(env, f"/api/tasks/{name}", {"args": args})
    done = call(env, f"{accepted['url']}?wait=20")
    if not done["ready"] and (backlog := before(env)):
        raise Waits(f"every role is ready; {task} has its turn later: {backlog}")
    if not done["successful"]:
        raise Stop(f"{name} did not succeed: {done}; see run/log/worker.log")
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
        Stop: it was not answered, or with another error.
    """
    # The web role answers to its own names only, whichever address it listens on; and no proxy stands between.
    host = next((name for name in get("ALLOWED_HOSTS", env) if name[0] not in ".*"), "localhost")
    headers = {"Content-Type": "application/json", "Host": host}
    if token := get("API_TOKEN", env):
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with DIRECT.open(urllib.request.Request(base(env) + path, data, headers), timeout=35) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        if error.code == 429:
            raise Waits(f"every role is ready; {path}: {json.loads(text)['error']['message']}") from error
        raise Stop(f"{path}: {error}: {text[:500]}; see run/log/web.log") from error
    except (OSError, http.client.HTTPException) as error:
        raise Stop(f"{path}: {error}; see run/log/web.log") from error


def base(env: dict[str, str], variable: str = "WEB_BIND") -> str:
    """The address of the web role or of Flower, for a client on this machine."""
    host, port = get(variable, env)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def addresses(env: dict[str, str]) -> None:
    """Print where a browser finds what runs, and what is open that might better not be."""
    name = "FLOWER_PASSWORD"
    place = env.get(f"{name}_FILE") or (name if env.get(name) else "run/secrets/flower/flower_password")
    print(f"""
  page      {base(env)}/
  API       {base(env)}/api/docs
  Flower    {base(env, "FLOWER_BIND")}/   user flower, password in {place}""")
    if warning := open_api(env):
        print(f"\nwarning: {warning}")
