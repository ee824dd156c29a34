"""Run one task through the front door of a stack that runs: `python -m stack.ops.proof` in a web container.

Where the API is, the web role says itself: in the Link of /livez, which is at its root in any project.
"""

import http.client
import json
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stack.runtime.env import environment, get


class _Stay(urllib.request.HTTPRedirectHandler):
    """An answer that sends a call elsewhere is an error: a POST would arrive there as a GET."""

    def redirect_request(self, *args: Any) -> None:
        return None


# No proxy stands between.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())


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
    api = where(env)
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


def where(env: dict[str, str]) -> str:
    """The path of the API on the web role, as `/stack/api/`.

    Raises:
        Failed: the web role does not answer, or its addresses do not have the API.
    """
    with ask(env, "/livez") as answer:
        link = re.search(r'<(/[^>]*)openapi\.json>; *rel="service-desc"', answer.headers.get("Link") or "")
    if not link:
        raise Failed("the addresses of the web role have no API: include stack.urls in the project's URLconf")
    return link[1]


def before(env: dict[str, str], api: str) -> str | None:
    """What a queued task waits for, or None when nothing is before it."""
    queues = call(env, f"{api}queues")
    waiting = max(0, sum(queue["waiting"] for queue in queues["queues"]) - 1)
    if not waiting and not queues["unacknowledged"]:
        return None
    return f"{waiting} tasks wait, and workers hold {queues['unacknowledged']}"


def call(env: dict[str, str], path: str, body: Any = None) -> Any:
    """What one HTTP call to the web role gives, as JSON; a body makes it a POST. Raises as `ask` does."""
    with ask(env, path, body) as answer:
        return json.load(answer)


@contextmanager
def ask(env: dict[str, str], path: str, body: Any = None) -> Iterator[Any]:
    """The answer to one HTTP call to the web role.

    Raises:
        Waits: it was answered with 429, because the queue is full.
        Failed: it was not answered, or with another error.
    """
    # The web role answers to its own names only, whichever address it listens on.
    host = next((name for name in get("ALLOWED_HOSTS", env) if name[0] not in ".*"), "localhost")
    # As through the proxy that ends TLS: a project may send all else to https (SECURE_SSL_REDIRECT).
    headers = {"Content-Type": "application/json", "Host": host, "X-Forwarded-Proto": "https"}
    if token := get("API_TOKEN", env):
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(base(env) + path, data, headers)  # noqa: S310 (http, to our own web role)
        with DIRECT.open(request, timeout=35) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        if error.code == 429:
            raise Waits(f"every role is ready; {path}: {json.loads(text)['error']['message']}") from error
        if error.code in (301, 302, 307, 308):
            raise Failed(
                f"{path}: the project sends this call to {error.headers['Location']}. Where that is https, have "
                "127.0.0.1 in TRUSTED_PROXIES, or the path in the project's SECURE_REDIRECT_EXEMPT."
            ) from error
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
