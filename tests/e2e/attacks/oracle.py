"""What tells an attack that worked: an answer for the token's holder, a task that ran, a hidden request in the log."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import uuid4

from tests.e2e.attacks.wire import Answer, Front, answers, send

AT_ONCE = 12  # connections; gunicorn has sixteen threads
OPEN = frozenset({400, 401, 403, 404, 405, 411, 413, 414, 415, 417, 421, 422, 429, 431, 501, 505})

# HAProxy's answer to what it cannot read as HTTP at all stands in its program; neither `http-error` nor `errorfile`
# changes it (mux_h1.c, h1_send_error).
NO_HTTP = b"<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n</body></html>"


@dataclass
class World:
    """What the attacker knows, and what he is after."""

    token: str
    task_id: str = ""  # of a task whose result holds `secret`
    mark: str = field(default_factory=lambda: uuid4().hex[:12])

    @property
    def secret(self) -> str:
        return f"secret-{self.mark}"

    @property
    def marker(self) -> str:
        """The argument of every task that must not run."""
        return f"ran-{self.mark}"

    @property
    def shown(self) -> tuple[bytes, ...]:
        """What an answer to nobody's call never holds: a result, the list of tasks, a task that was taken."""
        return self.secret.encode(), b"Add two numbers", b'"url": "/api/', b'"url":"/api/'

    def inner(self, number: int) -> str:
        """The address of a request that is hidden in another."""
        return f"/inner-{self.mark}-{number}-"


@dataclass(frozen=True)
class Case:
    """One row.

    Args:
        data: the bytes to send
        allowed: the statuses of the answers; 0 stands for a connection that is closed without one
        inner: the address of a hidden request: whoever serves it must answer it on this very connection
        victim: no attack; the answer must have the case's name in it
        valid: there is one right reading of the bytes, in which the hidden request is one in its own right
        holder: the call bears the right token, and may see what its holder sees
        shaped: each refusal must have the one shape of errors
    """

    name: str
    data: bytes
    allowed: frozenset[int] = OPEN
    inner: str = ""
    holder: bool = False
    shaped: bool = False
    valid: bool = False
    victim: bool = False
    alpn: str = "http/1.1"

    @property
    def head(self) -> bool:
        return self.data.startswith(b"HEAD ")


def request(
    method: str, target: str, *lines: str, body: bytes = b"", host: str = "localhost", more: bool = False
) -> bytes:
    """A request of HTTP/1.1 in exactly these letters (latin-1), the last of its connection unless there is `more`."""
    top = [f"{method} {target} HTTP/1.1", f"Host: {host}", *lines]
    if body and not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        top.append(f"Content-Length: {len(body)}")
    if not more:
        top.append("Connection: close")
    return ("\r\n".join(top) + "\r\n\r\n").encode("latin-1") + body


def wrong(case: Case, raw: bytes, world: World, proxy: bool = True) -> str | None:
    """Why the answer to a case is no good, or None."""
    found = answers(raw, case.head)
    statuses = [each.status for each in found] or [0]
    if not case.holder and (seen := [text for text in world.shown if text in raw]):
        return f"the answer shows {seen[0].decode()!r}: {statuses} {raw[:200]!r}"
    if raw and not found:
        return f"no answer of HTTP/1: {raw[:120]!r}"
    if not set(statuses) <= case.allowed:
        return f"{statuses}, not in {sorted(case.allowed)}: {raw[:300]!r}"
    if case.victim and [case.name.encode() in each.body for each in found] != [True]:
        return f"not the answer to this call alone: {raw[:300]!r}"
    if case.shaped and not case.head and (bad := [each for each in found if not shaped(each, proxy)]):
        return (
            f"{bad[0].status} has not the shape of errors: {bad[0].headers.get('content-type')} {bad[0].body[:120]!r}"
        )
    return None


def shaped(answer: Answer, proxy: bool = False) -> bool:
    """Whether an answer is no refusal, or one in the one shape of errors, or what a proxy cannot say otherwise."""
    if answer.status < 400 or (proxy and answer.body.strip() == NO_HTTP):
        return True
    try:
        body = json.loads(answer.body)
        return answer.headers.get("content-type", "").startswith("application/json") and set(body["error"]) == {
            "code",
            "message",
        }
    except (ValueError, TypeError, KeyError):
        return False


def run(front: Front, cases: Iterable[Case]) -> list[tuple[Case, bytes]]:
    """Send every case, several at once, each over a connection of its own; what came back for each."""

    def one(case: Case) -> bytes:
        try:
            return send(front, case.data, case.alpn)
        except ConnectionRefusedError:  # by the server's choice of protocols
            return b""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        cases = list(cases)
        return list(zip(cases, pool.map(one, cases), strict=True))


def judged(front: Front, cases: Iterable[Case], world: World, log: Callable[[], str] | None = None) -> dict[str, str]:
    """What is wrong, by the name of the case. With `log`, a hidden request that was served counts as well."""
    sent = run(front, cases)
    bad = {case.name: why for case, raw in sent if (why := wrong(case, raw, world, front.proxy))}
    if log:
        served = log()
        for case, raw in sent:
            # With its answer, both servers took it for what it is: a second request, with its own rights.
            told = len(answers(raw))
            if case.inner and case.inner in served and (told < 2 or not (front.proxy or case.valid)):
                bad[case.name] = f"the hidden request was served, with {told} answers: {raw[:160]!r}"
    return bad
