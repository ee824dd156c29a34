"""Calls of the web role on its own machine or in its own container, and where the stack's addresses are.

A project has the page and the API where it wants them. Whoever asks a stack that runs learns it from the Link of
/livez, which is at the root in any project: these functions do, and so does tests/e2e/client.py, which imports nothing
of the stack. `python -m stack.ops.web` prints the path of the page.
"""

import http.client
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stack.runtime.env import environment, get

LINK = re.compile(r'<(/[^>]*api/)openapi\.json>; *rel="service-desc"')
TIMEOUT = 35  # seconds for one answer; a `?wait=` of the API may take 30


class _Stay(urllib.request.HTTPRedirectHandler):
    """An answer that sends a call elsewhere is an error: a POST would arrive there as a GET."""

    def redirect_request(self, *args: Any) -> None:
        return None


# No proxy stands between.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())


class Failed(Exception):
    """The stack does not do its work; the text says where it broke."""


class Waits(Failed):
    """A task waits behind others, or could not be queued for their number: that is no fault."""


def base(env: dict[str, str], variable: str = "WEB_BIND") -> str:
    """The address of the web role or of Flower, for a client on this machine: http://host:port."""
    host, port = get(variable, env)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def api_path(env: dict[str, str]) -> str:
    """The path of the API on the web role, as `/stack/api/`.

    Raises:
        Failed: the web role does not answer, or its addresses do not have the API.
    """
    with ask(env, "/livez") as answer:
        link = LINK.search(answer.headers.get("Link") or "")
    if not link:
        raise Failed("the addresses of the web role have no API: include stack.urls in the project's URLconf")
    return link[1]


def page_path(env: dict[str, str]) -> str:
    """The path of the stack's page on the web role, as `/stack/`. Raises as `api_path` does."""
    return api_path(env).removesuffix("api/")


def call(env: dict[str, str], path: str, body: Any = None) -> Any:
    """What one HTTP call to the web role gives, as JSON; a body makes it a POST. Raises as `ask` does."""
    with ask(env, path, body) as answer:
        return json.load(answer)


@contextmanager
def ask(env: dict[str, str], path: str, body: Any = None) -> Iterator[Any]:
    """The answer to one HTTP call to the web role.

    Args:
        env: mapping of environment variables, with API_TOKEN where the web role has one.
        path: as the web role gets it.
        body: what is sent as JSON, by POST; None makes it a GET.

    Raises:
        Waits: the API has too much to do now, and said so.
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
        with DIRECT.open(request, timeout=TIMEOUT) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        with error:  # it is an answer, and it holds the connection
            text = error.read().decode(errors="replace")
        if error.code == 429 and (why := _must_wait(text)):
            raise Waits(f"every role is ready; {path}: {why}") from error
        if error.code in (301, 302, 307, 308):
            raise Failed(
                f"{path}: the project sends this call to {error.headers['Location']}. Where that is https, have "
                "127.0.0.1 in TRUSTED_PROXIES, or the path in the project's SECURE_REDIRECT_EXEMPT."
            ) from error
        raise Failed(f"{path}: {error}: {text[:500]}; see the log of the web role") from error
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{path}: {error}; see the log of the web role") from error


def _must_wait(text: str) -> str:
    """The message of a 429 of the stack's for which no wrong token and no code of the project's is to blame, or ""."""
    try:
        error = json.loads(text)["error"]
        return str(error["message"]) if error["code"] in ("queue_full", "too_many_requests") else ""
    except (ValueError, TypeError, KeyError):
        return ""


if __name__ == "__main__":
    try:
        print(page_path(environment()))
    except Failed as reason:
        sys.exit(str(reason))
