"""Wait until the stack on this machine is ready, and say where things are."""

import time

from checkout import ROLES, Stop
from stack.ops.unserved import warnings
from stack.ops.web import Failed, base, page_path
from stack.runtime.checks import check
from stack.runtime.env import get
from stack.runtime.exposure import weaknesses
from workers import variables_of


def not_ready(env: dict[str, str], programs: list[str]) -> dict[str, str]:
    """Which of `programs` are not ready, and why; a program of the team's own has no check of ours."""
    found = {}
    for name in programs:
        role = name.partition("-")[0]
        if role not in ROLES:
            continue
        own = variables_of(name) if role == "worker" else {}
        if reason := check(role, env | own | {"SERVICE_ROLE": role, "INSTANCE": name}, ready=True):
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


def addresses(env: dict[str, str]) -> None:
    """Print where a browser finds what runs, what weakens them, and which queues no worker serves."""
    name = "FLOWER_PASSWORD"
    place = env.get(f"{name}_FILE") or (name if env.get(name) else "run/secrets/flower/flower_password")
    try:
        page = base(env) + page_path(env)
        places = f"  page      {page}\n  API       {page}api/docs"
    except Failed as reason:  # somebody has stopped the web role
        places = f"  page      {reason}"
    print(f"""
{places}
  Flower    {base(env, "FLOWER_BIND")}/   user flower, password in {place}""")
    for _, text in weaknesses("web", env, get("ALLOWED_HOSTS", env), get("DEBUG", env)):
        print(f"\nwarning: {text}")
    for text in warnings(env):
        print(f"\nwarning: {text}")
