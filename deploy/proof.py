"""Wait until the stack is ready, run one task through its front door, and say where things are."""

import http.client
import json
import time
import urllib.request
from typing import Any

from place import Stop
from stack.checks import check
from stack.env import get

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def not_ready(env: dict[str, str], programs: list[str]) -> dict[str, str]:
    """Which of `programs` are not ready, and why."""
    found = {}
    for name in programs:
        role = name.partition("-")[0]
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


def prove(env: dict[str, str]) -> tuple[str, Any]:
    """Run one task through the front door: add(2, 3), or `ping` in a project without the demo."""
    names = [task["name"] for task in call(env, "/api/tasks")]
    name, args = ("add", [2, 3]) if "add" in names else ("ping", [])
    accepted = call(env, f"/api/tasks/{name}", {"args": args})
    done = call(env, f"{accepted['url']}?wait=20")
    if not done["successful"]:
        raise Stop(f"{name} did not succeed: {done}; see run/log/worker.log")
    return f"{name}({', '.join(map(str, args))})", done["result"]


def call(env: dict[str, str], path: str, body: Any = None) -> Any:
    """One HTTP call to the web role; a body makes it a POST."""
    # The web role answers to its own names only, whichever address it listens on; and no proxy stands between.
    host = next((name for name in get("ALLOWED_HOSTS", env) if name[0] not in ".*"), "localhost")
    headers = {"Content-Type": "application/json", "Host": host}
    if token := get("API_TOKEN", env):
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with DIRECT.open(urllib.request.Request(base(env) + path, data, headers), timeout=35) as answer:
            return json.load(answer)
    except (OSError, http.client.HTTPException) as error:
        raise Stop(f"{path}: {error}; see run/log/web.log") from error


def base(env: dict[str, str], variable: str = "WEB_BIND") -> str:
    host, port = get(variable, env)
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"


def addresses(env: dict[str, str]) -> None:
    """Print where a browser finds what runs."""
    print(f"""
  page      {base(env)}/
  API       {base(env)}/api/docs
  Flower    {base(env, "FLOWER_BIND")}/   user flower, password in run/secrets/flower/flower_password""")
