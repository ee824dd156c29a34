"""Headers that come twice, oddly written, too long or too many."""

from tests.e2e.attacks.oracle import Case, World, request

BAD = frozenset({400})
TAKEN = frozenset({202})
SEEN = frozenset({200})
NONE = frozenset({401, 429})
JSON = "Content-Type: application/json"


def cases(world: World) -> list[Case]:
    """Rows with the right token, and what must come of them; what bears none is refused whatever else it bears."""
    token = f"Authorization: Bearer {world.token}"
    body = b'{"args": [1, 2]}'

    def post(*lines: str, **options: object) -> bytes:
        return request("POST", "/api/tasks/add", token, *lines, body=body, **options)  # type: ignore[arg-type]

    def get(*lines: str, **options: object) -> bytes:
        return request("GET", f"/api/tasks/{world.task_id}", token, *lines, **options)  # type: ignore[arg-type]

    length = f"Content-Length: {len(body)}"
    rows: list[tuple[str, bytes, frozenset[int]]] = [
        ("two hosts", get("Host: evil.example"), BAD),
        ("two hosts, the same", get("Host: localhost"), BAD | SEEN),
        ("two hosts, the foreign one first", get("Host: localhost", host="evil.example"), BAD),
        ("no host", get().replace(b"Host: localhost\r\n", b""), BAD | SEEN),
        ("an empty host", get(host=""), BAD),
        ("a host with a path", get(host="localhost/api/"), BAD),
        ("a host with a user", get(host="localhost@evil.example"), BAD),
        ("a host with a space", get(host="localhost evil.example"), BAD),
        ("a host with a comma", get(host="localhost,evil.example"), BAD),
        ("a host with a NUL", get(host="localhost\x00.evil.example"), BAD),
        ("a port that is none", get(host="localhost:x"), BAD),
        ("a foreign host", post(JSON, host="evil.example"), BAD),
        ("a foreign host for a look", get(host="evil.example"), BAD),
        ("a foreign host and its origin", post(JSON, "Origin: http://evil.example", host="evil.example"), BAD | {403}),
        ("two lengths, the same", post(JSON, length, length), BAD | TAKEN),
        ("two lengths", post(JSON, length, "Content-Length: 3"), BAD),
        ("two types", post(JSON, "Content-Type: text/plain"), BAD | {415}),
        ("two types, the wrong one first", post("Content-Type: text/plain", JSON), BAD | {415}),
        ("two types, the same", post(JSON, JSON), BAD | {415} | TAKEN),
        ("a type with a parameter", post("Content-Type: application/json; charset=utf-8"), TAKEN),
        ("a type in odd letters", post("cOnTent-tYPe: Application/JSON"), TAKEN),
        ("a type that begins well", post("Content-Type: application/json-patch+json"), BAD | {415}),
        ("a type in a parameter", post("Content-Type: text/plain; application/json"), BAD | {415}),
        ("a type after a comma", post("Content-Type: text/plain, application/json"), BAD | {415}),
        ("no type", post(), BAD | {415}),
        ("an underscore in the type", post("Content_Type: application/json"), BAD | {415}),
        ("a foreign origin", post(JSON, "Origin: https://evil.example"), frozenset({403})),
        ("a foreign origin that begins well", post(JSON, "Origin: http://localhost.evil.example"), frozenset({403})),
        ("a foreign origin with our name as its user", post(JSON, "Origin: http://localhost@evil"), frozenset({403})),
        ("no origin that can be named", post(JSON, "Origin: null"), frozenset({403})),
        ("an origin that is no URL", post(JSON, "Origin: http://["), frozenset({403})),
        ("two origins", post(JSON, "Origin: http://localhost", "Origin: https://evil.example"), BAD | {403}),
        ("two origins, ours last", post(JSON, "Origin: https://evil.example", "Origin: http://localhost"), BAD | {403}),
        ("a foreign origin for a look", get("Origin: https://evil.example"), SEEN | {403}),
        ("a folded header", get("X-Long: a", " b"), BAD | SEEN),
        ("a folded first header", get().replace(b"Host:", b" X: y\r\nHost:", 1), BAD),
        ("a space before the colon", get("X-Space : a"), BAD),
        ("a tab before the colon", get("X-Tab\t: a"), BAD),
        ("no colon", get("X-No-Colon"), BAD),
        ("no name", get(": a"), BAD),
        ("a name with a space", get("X Y: a"), BAD),
        ("a name beyond ASCII", get("X-\xe4: a"), BAD),
        ("a name with a control", get("X-\x07: a"), BAD),
        ("a value with a NUL", get("X-A: a\x00b"), BAD),
        ("a value with a lone CR", get("X-A: a\rb"), BAD),
        ("a value with an escape", get("X-A: \x1b[31mred"), BAD | SEEN),
        ("underscores", get("X_Forwarded_For: 1.2.3.4", "HTTP_HOST: evil.example"), BAD | SEEN),
        (
            "underscores that a server could take for its own",
            get("REQUEST_METHOD: DELETE", "wsgi_input: x"),
            BAD | SEEN,
        ),
        ("a header of 20 KB", get("X-Long: " + "a" * 20_000), BAD | {431}),
        ("a name of 20 KB", get("X" * 20_000 + ": a"), BAD | {431}),
        ("a target of 20 KB", request("GET", "/api/tasks/" + "a" * 20_000, token), BAD | {414, 431}),
        ("a fragment in the target", request("GET", f"/api/tasks/{world.task_id}#/livez", token), BAD),
        ("200 headers", get(*(f"X-{number}: a" for number in range(200))), BAD | {431}),
        ("3000 headers", get(*(f"X-{number}: a" for number in range(3000))), BAD | {431}),
        ("a body that is announced", post(JSON, "Expect: 100-continue"), TAKEN),
        ("an expectation of nonsense", post(JSON, "Expect: a miracle"), BAD | {417} | TAKEN),
        ("a connection of nonsense", get("Connection: Authorization, Host, nonsense"), BAD | SEEN | NONE),
        ("an upgrade to nonsense", get("Connection: upgrade", "Upgrade: nonsense/9"), BAD | SEEN),
        ("a version of the future", get().replace(b"HTTP/1.1", b"HTTP/9.9", 1), BAD | {505} | SEEN),
        ("a version that is none", get().replace(b"HTTP/1.1", b"HTTP/1.1 x", 1), BAD | {505}),
        ("no version", get().replace(b" HTTP/1.1", b"", 1), BAD),
        ("a method in small letters", get().replace(b"GET", b"get", 1), BAD | {405, 501}),
        ("a method with a space", get().replace(b"GET", b"GET GET", 1), BAD),
        ("two spaces in the line", get().replace(b"GET ", b"GET  ", 1), BAD | SEEN),
        ("a tab in the line", get().replace(b"GET ", b"GET\t", 1), BAD | SEEN),
        ("an empty line first", b"\r\n" + get(), BAD | SEEN),
        ("TLS to a plain port", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160), BAD | {0}),
        ("a proxy's own line", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + get(), BAD),
    ]
    # Not every server may say in JSON what is no HTTP at all.
    found = [Case(name, data, allowed, holder=True, shaped=0 not in allowed) for name, data, allowed in rows]
    # What names somebody else says nothing about who calls.
    for name, lines in (
        ("no token, our own origin", (JSON, "Origin: http://localhost")),
        ("no token, from loopback", (JSON, "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1;host=localhost")),
        ("no token, by a page of ours", (JSON, "Referer: http://localhost/", "X-Requested-With: XMLHttpRequest")),
        ("no token, a client's certificate", (JSON, "X-SSL-Client-Verify: SUCCESS", "X-Client-Cert: x")),
    ):
        data = request("POST", "/api/tasks/fail", *lines, body=b'{"args": ["%s"]}' % world.marker.encode())
        found.append(Case(name, data, NONE, shaped=True))
    return found
