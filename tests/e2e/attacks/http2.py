"""A request hidden in one of HTTP/2, for a server that turns it into HTTP/1.1."""

from tests.e2e.attacks import frames
from tests.e2e.attacks.oracle import Case, World

Fields = list[tuple[str, str]]


def said(fields: Fields, *pieces: bytes, trailers: Fields | None = None) -> bytes:
    """A connection of HTTP/2 with this one request."""
    parts = [frames.frame(frames.DATA, 0, 1, piece) for piece in pieces]
    if trailers is not None:
        ended = frames.END_HEADERS | frames.END_STREAM
        parts.append(frames.frame(frames.HEADERS, ended, 1, frames.block(trailers)))
    elif pieces:
        parts[-1] = frames.frame(frames.DATA, frames.END_STREAM, 1, pieces[-1])
    end = 0 if parts else frames.END_STREAM
    top = frames.frame(frames.HEADERS, frames.END_HEADERS | end, 1, frames.block(fields))
    return frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0) + top + b"".join(parts)


def fields(method: str = "POST", path: str = "/api/tasks/fail", *more: tuple[str, str], **pseudo: str) -> Fields:
    start = {"method": method, "scheme": "http", "authority": "localhost", "path": path} | pseudo
    return [(f":{name}", value) for name, value in start.items()] + [("content-type", "application/json"), *more]


def cases(world: World) -> list[Case]:
    """Each over a connection of its own; none of the hidden requests may be served."""
    rows: list[tuple[str, bytes]] = []

    def place() -> str:
        return world.inner(len(rows))

    def inner() -> str:
        return f"GET {place()} HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def add(name: str, data: bytes) -> None:
        rows.append((name, data))

    add("a value with CRLF", said(fields("GET", "/livez", ("x-a", f"a\r\n\r\n{inner()}"))))
    add("a value with LF", said(fields("GET", "/livez", ("x-a", f"a\n\n{inner()}"))))
    add("a value with NUL and LF", said(fields("GET", "/livez", ("x-a", f"a\x00\n\n{inner()}"))))
    add("a name with CRLF", said(fields("GET", "/livez", (f"x: a\r\n\r\n{inner()}x", "a"))))
    add(
        "a name with a colon",
        said(fields("POST", "/livez", ("transfer-encoding: chunked\r\nx", "a")), b"0\r\n\r\n" + inner().encode()),
    )
    add(
        "an encoding",
        said(fields("POST", "/livez", ("transfer-encoding", "chunked")), b"0\r\n\r\n" + inner().encode()),
    )
    add(
        "an encoding in capital letters",
        said(fields("POST", "/livez", ("Transfer-Encoding", "chunked")), b"0\r\n\r\n" + inner().encode()),
    )
    add(
        "an encoding and a length",
        said(
            fields("POST", "/livez", ("transfer-encoding", "chunked"), ("content-length", "5")),
            b"0\r\n\r\n" + inner().encode(),
        ),
    )
    add(
        "an encoding by a value with CRLF",
        said(fields("POST", "/livez", ("x-a", "a\r\ntransfer-encoding: chunked")), b"0\r\n\r\n" + inner().encode()),
    )
    add(
        "a length of nought",
        said(fields("POST", "/livez", ("content-length", "0")), inner().encode()),
    )
    add(
        "a length too short",
        said(fields("POST", "/livez", ("content-length", "3")), b"abc" + inner().encode()),
    )
    add(
        "two lengths",
        said(
            fields("POST", "/livez", ("content-length", "0"), ("content-length", str(len(inner())))), inner().encode()
        ),
    )
    add(
        "a length with a plus",
        said(fields("POST", "/livez", ("content-length", "+0")), inner().encode()),
    )
    add("a path with CRLF", said(fields("GET", f"/ HTTP/1.1\r\nHost: x\r\n\r\n{inner()}x: ")))
    add("a path with spaces", said(fields("GET", f"/livez HTTP/1.1\n\n{inner()}x: ")))
    add("a method with CRLF", said(fields(f"{inner()}GET", "/livez")))
    add("a method with a space", said(fields(f"GET {place()} HTTP/1.1\r\nX:", "/livez")))
    add("an authority with CRLF", said(fields("GET", "/livez", authority=f"x\r\n\r\n{inner()}x: ")))
    add("a scheme that is a target", said(fields("GET", "/livez", scheme=place() + "?")))
    add("a host with CRLF", said(fields("GET", "/livez", ("host", f"x\r\n\r\n{inner()}x: "))))
    add("two paths", said([*fields("GET", "/livez")[:4], (":path", place())]))
    add(
        "two methods",
        said([*fields("GET", "/livez")[:4], (":method", f"GET {place()} HTTP/1.1\nX:")]),
    )
    add("a path after the headers", said([*fields("GET", "/livez"), (":path", place())]))
    add(
        "an upgrade",
        said(fields("GET", "/livez", ("connection", "upgrade"), ("upgrade", "h2c"), ("x-a", f"\r\n\r\n{inner()}"))),
    )
    add("a cookie with CRLF", said(fields("GET", "/livez", ("cookie", f"a=b\r\n\r\n{inner()}"))))
    add(
        "trailers with a length",
        said(
            fields("POST", "/livez", ("transfer-encoding", "chunked")),
            b"0\r\n\r\n" + inner().encode(),
            trailers=[("content-length", "0")],
        ),
    )
    return [Case(name, data, inner=world.inner(number), alpn="h2") for number, (name, data) in enumerate(rows)]


def looks(world: World) -> list[Case]:
    """Calls without the token, whose answers must not show what its holder sees."""
    result, body = f"/api/tasks/{world.task_id}", b'{"args": ["%s"]}' % world.marker.encode()
    rows = {
        "a look": said(fields("GET", result)),
        "a task": said(fields("POST", "/api/tasks/fail"), body),
        "two slashes": said(fields("GET", "/" + result)),
        "SCRIPT_NAME": said(fields("GET", "/x" + result, ("script_name", "/x"))),
        "SCRIPT_NAME and a task": said(fields("POST", "/x/api/tasks/fail", ("script_name", "/x")), body),
    }
    return [Case(name, data, alpn="h2") for name, data in rows.items()]


def refused(world: World) -> list[Case]:
    """HTTP/2 without TLS, which nobody here uses: by knowing beforehand, and by asking for it."""
    look = frames.frame(frames.SETTINGS, 0, 0) + frames.frame(
        frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, frames.block(fields("GET", "/api/tasks"))
    )
    upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    one = f"GET /livez HTTP/1.1\r\nHost: localhost\r\n{upgrade}".encode()
    allowed = frozenset({0, 200, 301, 308, 400, 401, 403, 404, 405, 426, 501, 505})
    return [
        Case("prior knowledge", frames.PREFACE + look, allowed - {200}),
        Case("prior knowledge, half a preface", frames.PREFACE[:18] + look, allowed - {200}),
        Case("an upgrade", one + frames.PREFACE + look, allowed),
        Case("an upgrade for a call", one.replace(b"/livez", b"/api/tasks") + frames.PREFACE + look, allowed - {200}),
    ]
