"""Whether a call comes from a page that may make it: scheme, host and port of its Origin."""

from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.utils.http import is_same_domain

PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where a page comes from, as a browser says it."""

    scheme: str
    host: str
    port: int | None

    @property
    def netloc(self) -> str:
        """Host and port as in a URL, without a port that goes without saying."""
        return self.host if self.port == PORTS.get(self.scheme) else f"{self.host}:{self.port}"


def read(text: str) -> Origin | None:
    """The origin that `text` is, or None: "null", two of them, or a URL with more than scheme, host and port."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or "@" in parts.netloc or text.lower().rstrip("/") != f"{parts.scheme}://{parts.netloc.lower()}":
        return None
    return Origin(parts.scheme, f"[{host}]" if ":" in host else host, port or PORTS.get(parts.scheme))


def objection(request: HttpRequest) -> str | None:
    """Why a call that changes something is refused for where it comes from, with the fix; None when it is not.

    A program sends no Origin and passes. A browser sends one with every call that is no GET; should it leave it out,
    its Sec-Fetch-Site still tells a page of another site.
    """
    text = request.headers.get("Origin")
    if text is None:
        if request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            return None
        return "This call comes from a page of another site, which does not say which: send its Origin."
    origin, own = read(text), _own(request)
    if origin is not None and (
        origin == own or any(_trusted(origin, entry) for entry in settings.CSRF_TRUSTED_ORIGINS)
    ):
        return None
    if origin and own and origin.host == own.host and (origin.scheme, own.scheme) == ("https", "http"):
        return (
            f"The page came over https and this call over http: name the proxy that ends TLS in TRUSTED_PROXIES, "
            f"so that its X-Forwarded-Proto counts, or {text[:200]} in CSRF_TRUSTED_ORIGINS."
        )
    return f"Calls from pages of {text[:200]} need it in CSRF_TRUSTED_ORIGINS."


def _own(request: HttpRequest) -> Origin | None:
    try:
        return read(f"{request.scheme}://{request.get_host()}")
    except DisallowedHost:
        return None


def _trusted(origin: Origin, entry: str) -> bool:
    """Whether an entry of CSRF_TRUSTED_ORIGINS names the origin, as Django reads it: https://*.example.com too."""
    if "*" not in entry:
        return origin == read(entry)
    parts = urlsplit(entry)
    return origin.scheme == parts.scheme and is_same_domain(origin.netloc, parts.netloc.lstrip("*").lower())
