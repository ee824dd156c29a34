"""Flower's HTTP: small requests only, headers that a browser obeys, and no end of wrong passwords.

Flower keeps a whole body in memory before it asks for the password, 100 MB of it, and waits an hour for the rest.
"""

import base64
import hmac
import logging
from typing import Any

from flower.views import BaseHandler
from flower.views.monitor import Metrics
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.netutil import bind_sockets
from tornado.web import Finish, HTTPError, OutputTransform, authenticated

from stack.runtime.guesses import Guesses

logger = logging.getLogger(__name__)
MAX_BODY = 16 * 1024  # bytes; the options of one call
MAX_HEADERS = 16 * 1024
PATIENCE = 20  # seconds for the headers, for the body, and for an idle connection
CONNECTIONS = 200  # with all of them held open, 20 MiB
HEADERS = {
    # Flower's pages have one script and some styles in them, and load nothing from elsewhere.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_set_cookie, _write_error = BaseHandler.set_cookie, BaseHandler.write_error


class Server(HTTPServer):
    """Tornado's, with a bound on the connections: the one that is open for longest makes room."""

    def initialize(self, *args: Any, **options: Any) -> None:
        super().initialize(*args, **options)
        self.streams: list[Any] = []

    def handle_stream(self, stream: Any, address: Any) -> None:
        self.streams = [each for each in self.streams if not each.closed()] + [stream]
        if len(self.streams) > CONNECTIONS:
            self.streams[0].close()
        super().handle_stream(stream, address)


def serve(flower: Any) -> int:
    """Listen where Flower's options say; returns the port."""
    sockets = bind_sockets(flower.options.port, address=flower.options.address)
    server = Server(
        flower,
        ssl_options=flower.ssl_options,
        max_header_size=MAX_HEADERS,
        idle_connection_timeout=PATIENCE,
        max_body_size=MAX_BODY,
        body_timeout=PATIENCE,
        max_buffer_size=4 * MAX_BODY,
    )
    server.add_sockets(sockets)
    return int(sockets[0].getsockname()[1])


class Hardened(OutputTransform):
    """Puts HEADERS on every answer, errors and static files among them."""

    def __init__(self, request: Any):
        self.path = request.path

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        for name, value in HEADERS.items():
            headers[name] = value
        if not self.path.startswith("/static/"):
            headers["Cache-Control"] = "no-store"
        headers.pop("Server", None)  # it tells the version
        return status_code, headers, chunk


def set_cookie(self: Any, name: str, value: Any, *args: Any, **options: Any) -> None:
    """As tornado's; no script reads the cookie and no other site's page sends it.

    Whoever is believed with "X-Forwarded-Proto: https" only makes its own cookie stricter.
    """
    forwarded = self.request.headers.get("X-Forwarded-Proto", "")
    secure = "https" in (self.request.protocol, forwarded.partition(",")[0].strip())
    _set_cookie(self, name, value, *args, **options | {"httponly": True, "samesite": "Strict", "secure": secure})


guesses = Guesses()


def knows(header: str, accepted: list[str]) -> bool:
    """Whether an Authorization header holds one of the `user:password` that are accepted."""
    try:
        kind, text = header.split()
        given = base64.b64decode(text)
    except ValueError:
        return False
    return kind.lower() == "basic" and any(hmac.compare_digest(each.encode(), given) for each in accepted)


def get_current_user(self: Any) -> Any:
    """In place of Flower's, which fails at a password with an umlaut in it.

    Wrong passwords are in the log, once a second for a ban tool. After ten in a minute an address has to wait with the
    next; the right one is never refused, as everybody behind one proxy has the same address.
    """
    header = self.request.headers.get("Authorization", "")
    if knows(header, self.application.options.basic_auth):
        return True
    if not header:
        raise HTTPError(401)
    address = self.request.remote_ip
    wait = guesses.wrong(address)
    if guesses.worth_a_line(address):
        logger.warning("wrong password for Flower from %s", address)
    if not wait:
        raise HTTPError(401)
    self.set_status(429)
    self.set_header("Retry-After", str(wait))
    self.set_header("Content-Type", "text/plain; charset=UTF-8")
    raise Finish(f"Too many wrong passwords from {address}. Try again in {wait} s.")


def write_error(self: Any, status_code: int, **options: Any) -> None:
    """As Flower's, which shows the traceback to everybody, and the packages with their versions."""
    if status_code != 500:
        _write_error(self, status_code, **options)
        return
    self.set_header("Content-Type", "text/plain; charset=UTF-8")
    self.finish("Flower failed here; its log says why.")


def install() -> None:
    """Put the above in place of Flower's; stack/monitoring/monitor.py has the server and the headers."""
    BaseHandler.set_cookie = set_cookie
    getattr(BaseHandler, "get_current_user")  # noqa: B009
    BaseHandler.get_current_user = get_current_user
    BaseHandler.write_error = write_error
    # Flower leaves its metrics open, with the names of workers and tasks in them.
    Metrics.get = authenticated(Metrics.get)
