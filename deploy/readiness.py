"""Wait until the stack on this machine is ready, and say where things are."""

import time
from collections.abc import Callable

from checkout import PROJECT, ROLES, Stop
from stack.ops.unserved import warnings
from stack.ops.web import Failed, base, page_path
from stack.runtime.checks import check
from stack.runtime.env import get
from stack.runtime.exposure import weaknesses
from workers import variables_of

ENDS = 3  # ends of one program after which nobody needs to wait any longer
LINES = 20  # of the log of a program that has ended


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


def wait_ready(
    env: dict[str, str],
    programs: list[str],
    ended: Callable[[], dict[str, int]] = dict,
    seconds: float = 300,
    impatient: float = 60,
    every: float = 15,
) -> None:
    """Wait until the readiness check of each of `programs` passes; a large project takes minutes on a slow machine.

    Args:
        ended: how often each program has ended since the start; where nobody knows, none.
        seconds: how long is waited for programs that run, and `impatient` for those of which one has ended.
        every: seconds from one line of progress to the next.

    Raises:
        Stop: with the reason of each that is not ready; of one that ended, with the end of its log.
    """
    print("waiting until every role is ready ...", flush=True)
    begun, waiting = time.monotonic(), dict.fromkeys(programs, "")
    said = begun
    while waiting := not_ready(env, list(waiting)):
        now, broken = time.monotonic(), {name: times for name, times in ended().items() if name in waiting}
        if now - begun > (impatient if broken else seconds) or max(broken.values(), default=0) >= ENDS:
            raise Stop("\n".join(_failed(name, why, broken.get(name, 0)) for name, why in waiting.items()))
        if now - said > every:
            said = now
            reasons = "; ".join(f"{name}: {why}" for name, why in waiting.items())
            print(f"still starting after {now - begun:.0f} s: {reasons}", flush=True)
        time.sleep(0.1)


def _failed(name: str, why: str, times: int) -> str:
    """Why a program is not ready; the end of its log stands last, where a terminal shows it."""
    log = f"run/log/{name}.log"
    if not times:
        return f"{name} is not ready: {why}; see {log}"
    try:
        lines = (PROJECT / log).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    end = "\n".join(line[:500] for line in lines[-LINES:])
    often = "once" if times == 1 else f"{times} times"
    return f"{name} is not ready, it has ended {often}. {log} ends in:\n{end}"


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
