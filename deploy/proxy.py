"""What a deploy asks of HAProxy, over its own interface, which listens inside the proxy's container only."""

import csv
import time

from checkout import Stop
from containers import containers, docker, inspect

FIND_WITHIN = 20  # seconds for a healthy web to be found by the proxy
DRAIN_WITHIN = 40  # seconds for requests that run; `wait` holds one for 30 at most


def ask(*commands: str) -> str:
    script = 'exec 3<>/dev/tcp/127.0.0.1/9999; printf "%s\\n" "$1" >&3; cat <&3'
    return docker("exec", containers("proxy")[0], "bash", "-c", script, "bash", ";".join(commands))


def slots() -> list[dict[str, str]]:
    """The proxy's places for web containers, taken or not."""
    rows = csv.DictReader(ask("show stat").lstrip("# ").splitlines())
    return [row for row in rows if row["pxname"] == "web" and row["svname"] != "BACKEND"]


def servers() -> dict[str, dict[str, str]]:
    """The taken places, by the address of their container."""
    return {
        slot["addr"].rpartition(":")[0]: slot
        for slot in slots()
        if slot.get("addr") and not slot["status"].startswith("MAINT")
    }


def address(container: str) -> str:
    """The container's address where the proxy sees it."""
    networks = inspect(container)["NetworkSettings"]["Networks"]
    return next((network["IPAddress"] for name, network in networks.items() if name.endswith("_front")), "")


def hold() -> None:
    """Give no requests to a container that starts from here on, until `ready`.

    HAProxy takes for healthy what it has not yet asked, and gunicorn listens before it answers: what came in between
    would be cut off if that container went away again.
    """
    if containers("proxy"):
        taken = {slot["svname"] for slot in servers().values()}
        ask(*[f"set server web/{slot['svname']} state drain" for slot in slots() if slot["svname"] not in taken])


def lead(new: list[str], old: list[str]) -> None:
    """Send new requests to the new containers only, and wait until the old ones have answered theirs.

    Raises:
        Stop: the proxy does not find the new ones.
    """
    if not containers("proxy"):
        return
    ready()
    end = time.monotonic() + FIND_WITHIN
    while not all(servers().get(address(container), {}).get("status") == "UP" for container in new):
        if time.monotonic() > end:
            raise Stop("the proxy does not find the new web containers")
        time.sleep(0.25)
    drain(old)


def drain(leaving: list[str]) -> None:
    """Send these containers nothing new, and wait until they have answered what they have."""
    if not containers("proxy"):
        return
    places = {address(container) for container in leaving} & servers().keys()
    if places:
        ask(*[f"set server web/{servers()[place]['svname']} state drain" for place in places])
    end = time.monotonic() + DRAIN_WITHIN
    while any(int(row["scur"] or 0) for place, row in servers().items() if place in places) and time.monotonic() < end:
        time.sleep(0.25)


def ready() -> None:
    """Take every place out of drain: a place outlives its container, and the next one there must get requests."""
    if containers("proxy"):
        ask(*[f"set server web/{slot['svname']} state ready" for slot in slots()])
