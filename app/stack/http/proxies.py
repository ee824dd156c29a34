"""What a proxy says about its client, in headers that any client can send too: believed from TRUSTED_PROXIES only.

Behind this middleware REMOTE_ADDR is the client, `request.is_secure()` is what the client's browser sees, and no header
says otherwise: for a project that never heard of it, and for one with a recipe of its own.
"""

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from stack.runtime.env import get
from stack.runtime.networks import Network, address, client, inside

# Who the client is, how it came and under which name: X-Forwarded-*, Forwarded, X-Real-IP, and what the large
# providers and older proxies call them. docker/haproxy.cfg and deploy/haproxy.cfg drop the same names.
OF_PROXIES = (
    "x-forwarded",
    "forwarded",
    "x-real-ip",
    "client-ip",
    "x-client-ip",
    "true-client-ip",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "cf-connecting-ip",
    "do-connecting-ip",
    "x-azure-clientip",
    "x-appengine-user-ip",
    "x-envoy-external-address",
    "x-scheme",
    "x-url-scheme",
    "front-end-https",
    "x-original-url",
    "x-rewrite-url",
)
SETTLED = "stack.settled"  # in the scope of a request whose client is known
_OF_PROXIES = re.compile("HTTP_(?:" + "|".join(OF_PROXIES).upper().replace("-", "_") + ")")


class TrustedProxies:
    """The first middleware: whatever comes later sees the client, and nothing that a stranger claimed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response
        self.trusted: list[Network] = get("TRUSTED_PROXIES", settings.STACK_ENV)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Under ASGI it was done before the project's application, which need not be Django (stack/http/asgi.py).
        if SETTLED not in getattr(request, "scope", ()):
            settle(request.META, self.trusted)
        return self.get_response(request)


def settle(meta: dict[str, Any], trusted: list[Network]) -> None:
    """Put the client into REMOTE_ADDR and how it came into `wsgi.url_scheme`; take away what nobody vouches for.

    Args:
        meta: the WSGI environment of a request, changed in place.
        trusted: the networks of the proxies that are believed.
    """
    peer = address(meta.get("REMOTE_ADDR", ""))
    if peer is None or not inside(peer, trusted):
        for name in [name for name in meta if _OF_PROXIES.match(name)]:
            del meta[name]
        return
    found = str(client(peer, meta.get("HTTP_X_FORWARDED_FOR", ""), trusted))
    meta["REMOTE_ADDR"] = found
    # What a recipe reads in place of REMOTE_ADDR. A proxy that sets one of them hands on the client's other one.
    for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP"):
        if name in meta:
            meta[name] = found
    meta.pop("HTTP_FORWARDED", None)
    if "HTTP_X_FORWARDED_PROTO" in meta:
        # Of several, from several proxies or from a client before them, each must say so.
        said = [word.strip().lower() for word in meta["HTTP_X_FORWARDED_PROTO"].split(",")]
        scheme = "https" if set(said) == {"https"} else "http"
        meta["HTTP_X_FORWARDED_PROTO"] = meta["wsgi.url_scheme"] = scheme


def settle_scope(scope: dict[str, Any], trusted: list[Network]) -> None:
    """As `settle`, for the scope of ASGI, of a request or of a websocket."""
    names: dict[bytes, str] = {}
    meta: dict[str, Any] = {"REMOTE_ADDR": (scope.get("client") or ("",))[0]}
    for name, value in scope["headers"]:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        if _OF_PROXIES.match(key):
            names[name] = key
            meta[key] = f"{meta[key]},{value.decode('latin-1')}" if key in meta else value.decode("latin-1")
    peer, scope[SETTLED] = meta["REMOTE_ADDR"], True
    settle(meta, trusted)
    if names:
        kept = [item for item in scope["headers"] if item[0] not in names]
        scope["headers"] = kept + [(name, meta[key].encode("latin-1")) for name, key in names.items() if key in meta]
    if meta["REMOTE_ADDR"] != peer:
        scope["client"] = (meta["REMOTE_ADDR"], 0)  # the port is the proxy's
    if scheme := meta.get("wsgi.url_scheme"):
        secure = scheme == "https"
        scope["scheme"] = ("wss" if secure else "ws") if scope["type"] == "websocket" else scheme
