"""What a log, the page and the worker must not take for more than text: forged lines, hostile names, foreign tasks."""

import json
from typing import Any
from urllib.parse import quote

from tests.e2e.attacks.oracle import Case, World, request

ANY = frozenset({200, 201, 202, 301, 308, 400, 401, 403, 404, 405, 414, 415, 422, 429, 431, 501})
REFUSED = frozenset({400, 404, 405, 422})
JSON = "Content-Type: application/json"


def forged(world: World) -> str:
    return f'{{"event": "forged-{world.mark}", "level": "info", "request": "GET /forged-{world.mark}"}}'


def in_a_query(world: World) -> str:
    """A secret that somebody put where the contract has no place for it."""
    return f"query-{world.mark}"


def lines(world: World) -> list[Case]:
    """Calls that would write a line of their own, break one, colour it, or leave a secret in it."""
    line, token = forged(world), f"Authorization: Bearer {world.token}"
    broken = line.replace('{"event"', 'x", "event"').replace("}", "")
    texts = {
        "LF": f"\n{line}\n",
        "CRLF": f"\r\n{line}\r\n",
        "CR": f"\r{line}\r",
        "quotes": broken,
        "a backslash": f"\\{broken}\\",
        "colours": f"\x1b[2K\x1b[1A{line}",
        "NEL and LS": f"\x85{line}\u2028{line}",
        "NUL": f"\x00{line}",
        "escapes of JSON": f"\\n{line}\\u000a",
        "a surrogate": f"\udc0a{line}",
    }
    found = []
    for name, text in texts.items():
        path = quote(text.encode("utf-8", "surrogatepass"))
        raw = text.encode("utf-8", "surrogatepass").decode("latin-1")
        told = json.dumps({"args": [text]}).encode()
        for place, data in {
            "in the path": request("GET", f"/{path}"),
            "in a task's id": request("GET", f"/api/tasks/{path}", token),
            "in a task's name": request("POST", f"/api/tasks/{path}", token, JSON, body=b"{}"),
            "in a schedule's name": request("PUT", f"/api/schedules/{path}", token, JSON, body=b"{}"),
            "in the query": request("GET", f"/?{path}={path}"),
            "in the path, raw": request("GET", f"/{raw}"),
            "in User-Agent": request("GET", "/version", f"User-Agent: {raw}", f"Referer: {raw}"),
            "in X-Request-ID": request("GET", "/version", f"X-Request-ID: {raw}", f"X-Correlation-ID: {raw}"),
            "in X-Forwarded-For": request("GET", "/version", f"X-Forwarded-For: {raw}", f"X-Real-IP: {raw}"),
            "in Authorization": request("GET", "/api/tasks", f"Authorization: Bearer {raw}"),
            "in Origin": request("POST", "/api/tasks/add", token, JSON, f"Origin: {raw}", body=b"{}"),
            "in Host": request("GET", "/", host=raw),
            "in Idempotency-Key": request("POST", "/api/tasks/add", token, JSON, f"Idempotency-Key: {raw}", body=b"{}"),
            "in the method": request(f"GET{raw}", "/"),
            "in an argument": request("POST", "/api/tasks/fail", token, JSON, body=told),
            "in a header's name": request("GET", "/version", f"X-{raw}: a"),
        }.items():
            found.append(Case(f"{name} {place}", data, ANY | {0}, holder=True))
    secret = in_a_query(world)
    for target in ("/", "/nothing", "/api/tasks", f"/api/tasks/{world.task_id}", "/api/docs", "/livez", "//api//x"):
        data = request("GET", f"{target}?token={secret}&access_token={secret}&password={secret}")
        found.append(Case(f"a secret in the query of {target}", data, ANY, holder=True))
    return found


def tainted(log: str, world: World, ours: bool = True) -> list[str]:
    """The lines of a log that were forged, broken or tell a secret, each with its reason; `ours` are all JSON."""
    found = []
    for line in log.removesuffix("\n").split("\n"):
        entry: Any = None
        try:
            entry = json.loads(line) if line else {}
        except ValueError:
            if ours or line.startswith("{"):
                found.append(f"no JSON: {line[:200]!r}")
        if isinstance(entry, dict) and f"forged-{world.mark}" in (entry.get("event"), *entry):
            found.append(f"forged: {line[:200]!r}")
        if any(ord(letter) < 32 or ord(letter) in (0x7F, 0x85, 0x2028) for letter in line):
            found.append(f"a control character: {line[:200]!r}")
        if world.token in line:
            found.append(f"the token: {line[:300]!r}")
        if in_a_query(world) in line:
            found.append(f"a secret of a query: {line[:300]!r}")
    return found


# No task of these names may be run by a call: Celery's own, and what is not quite a name that may.
TASKS = (
    *("celery.accumulate", "celery.backend_cleanup", "celery.chain", "celery.chord", "celery.chord_unlock"),
    *("celery.chunks", "celery.group", "celery.map", "celery.starmap", "celery.ping", "celery.*", "Celery.Map"),
    *(
        "celery.map ",
        " celery.map",
        "celery.map\t",
        "celery.map\n",
        "celery.map\x00",
        "celery\u200b.map",
        "\uff43elery.map",
    ),
    *(
        "ADD",
        "add ",
        " add",
        "add\n",
        "add\x00",
        "\uff41\uff44\uff44",
        "add\u200b",
        "add.s",
        "demo.tasks.add",
        "stack.tasks.ping",
    ),
    *("ping,add", "*", ".", "..", "", "__class__", "add/../celery.map", "../canvas/group", "celery.map?x=add"),
)


def foreign(world: World) -> list[Case]:
    """Every such name by every way by which a name comes in; with the token, since its holder may not either."""
    token = f"Authorization: Bearer {world.token}"
    found = []
    for name in TASKS:
        evil, good = {"name": name, "args": [1, 2]}, {"name": "add", "args": [1, 2]}
        items = [[1, 2], [3, 4]]
        ways: dict[str, tuple[str, str, dict[str, Any]]] = {
            "task": ("POST", f"/api/tasks/{quote(name, safe='')}", {"args": [1, 2]}),
            "group": ("POST", "/api/canvas/group", {"tasks": [evil]}),
            "group, second": ("POST", "/api/canvas/group", {"tasks": [good, evil]}),
            "chain": ("POST", "/api/canvas/chain", {"tasks": [evil, good]}),
            "chain, second": ("POST", "/api/canvas/chain", {"tasks": [good, evil | {"args": [1]}]}),
            "chord's header": ("POST", "/api/canvas/chord", {"header": [evil], "body": good | {"args": []}}),
            "chord's body": ("POST", "/api/canvas/chord", {"header": [good], "body": evil | {"args": []}}),
            "map": ("POST", "/api/canvas/map", {"name": name, "items": items}),
            "starmap": ("POST", "/api/canvas/starmap", {"name": name, "items": items}),
            "chunks": ("POST", "/api/canvas/chunks", {"name": name, "items": items, "size": 1}),
            "chunks of a range": ("POST", "/api/canvas/chunks", {"name": name, "range": [1, 9], "size": 4}),
            "schedule": ("PUT", f"/api/schedules/sweep-{world.mark}", {"task": name, "args": [1, 2], "every": 1}),
            "a kind of canvas": ("POST", f"/api/canvas/{quote(name, safe='')}", {"name": "add", "items": items}),
        }
        for way, (method, target, body) in ways.items():
            data = request(method, target, token, JSON, body=json.dumps(body).encode())
            found.append(Case(f"{name!r} as {way}", data, REFUSED, holder=True, shaped=True))
    return found
