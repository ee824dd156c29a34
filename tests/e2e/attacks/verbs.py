"""Every verb on every route. No row bears a token."""

import re
from collections.abc import Iterable

from tests.e2e.attacks.oracle import OPEN, Case, World, request

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")
# These two may be open: they say what calls there are, and nothing of what they hold.
DOCUMENTS = ("/api/docs", "/api/openapi.json")


def cases(routes: Iterable[str], world: World) -> list[Case]:
    """Every verb on every route of the API's document, and on those beside it."""
    body = b'{"args": ["%s"]}' % world.marker.encode()
    names = ("fail", "group", world.task_id)
    targets = {re.sub(r"\{[^}]*\}", name, route) for route in routes for name in names}
    beside = {"/api", "/api/", "/api/nothing", "/api/tasks/", "/api/docs/", "/api/redoc", *DOCUMENTS}
    found = []
    for target in sorted(targets | beside):
        for verb in VERBS:
            data = request(
                verb, target, "Content-Type: application/json", body=b"" if verb in ("GET", "HEAD") else body
            )
            more = {200} if target in DOCUMENTS and verb in ("GET", "HEAD", "OPTIONS") else set()
            # Without the slash it is no call, and may lead to one.
            found.append(Case(f"{verb} {target}", data, OPEN | more | ({301} if target == "/api" else set())))
    return found
