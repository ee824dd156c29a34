"""One request hidden in another: what a proxy takes for a body and the server behind it for a request."""

from tests.e2e.attacks.oracle import OPEN, Case, World, request

OUTER = "POST /api/tasks/fail HTTP/1.1"
# What stands for `Transfer-Encoding: chunked` to one of two servers.
ENCODINGS: dict[str, str] = {
    "plain": "Transfer-Encoding: chunked",
    "capital letters": "TRANSFER-ENCODING: CHUNKED",
    "odd letters": "Transfer-Encoding: cHuNkEd",
    "no space": "Transfer-Encoding:chunked",
    "a tab": "Transfer-Encoding:\tchunked",
    "a space before the colon": "Transfer-Encoding : chunked",
    "a tab before the colon": "Transfer-Encoding\t: chunked",
    "a control before the colon": "Transfer-Encoding\x0b: chunked",
    "a NUL before the colon": "Transfer-Encoding\x00: chunked",
    "a semicolon before the colon": "Transfer-Encoding;: chunked",
    "a control before the word": "Transfer-Encoding: \x0bchunked",
    "a control after the word": "Transfer-Encoding: chunked\x0c",
    "a NUL after the word": "Transfer-Encoding: chunked\x00",
    "a hard space": "Transfer-Encoding: \xa0chunked",
    "a folded value": "Transfer-Encoding:\r\n chunked",
    "a folded name": "X-A: a\r\n Transfer-Encoding: chunked",
    "after a bare LF": "X-A: a\nTransfer-Encoding: chunked",
    "after a bare CR": "X-A: a\rTransfer-Encoding: chunked",
    "with an underscore": "Transfer_Encoding: chunked",
    "quoted": 'Transfer-Encoding: "chunked"',
    "a letter before": "Transfer-Encoding: xchunked",
    "a letter after": "Transfer-Encoding: chunkedx",
    "a parameter": "Transfer-Encoding: chunked;q=1",
    "identity after": "Transfer-Encoding: chunked, identity",
    "identity before": "Transfer-Encoding: identity, chunked",
    "gzip before": "Transfer-Encoding: gzip, chunked",
    "an empty member": "Transfer-Encoding: , chunked",
    "twice in one": "Transfer-Encoding: chunked, chunked",
    "twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "twice, then nonsense": "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
    "nonsense, then twice": "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    "twice, identity last": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
}
# By the rules these are headers of other names, or a part of one before: what counts is the length alone.
NO_ENCODING = {"with an underscore", "a folded name"}
# What stands for a length that one server reads and another does not; {n} is that of the whole rest.
LENGTHS: dict[str, str] = {
    "a plus": "Content-Length: +{n}",
    "a minus": "Content-Length: -{n}",
    "hexadecimal": "Content-Length: 0x{n:x}",
    "an underscore": "Content-Length: {n}_0",
    "a space inside": "Content-Length: {n} 0",
    "a comma": "Content-Length: {n}, 0",
    "a comma, the same": "Content-Length: {n},{n}",
    "a point": "Content-Length: {n}.0",
    "an exponent": "Content-Length: {n}e0",
    "a semicolon": "Content-Length: {n};0",
    "a control": "Content-Length: {n}\x0b",
    "a digit of another script": "Content-Length: \xb2{n}",
    "an overflow of 64 bits": "Content-Length: 18446744073709551{n:03}",
    "empty": "Content-Length:",
    "a space before the colon": "Content-Length : {n}",
    "a folded value": "Content-Length:\r\n {n}",
    "after a bare LF": "X-A: a\nContent-Length: {n}",
    "two, the short one last": "Content-Length: {n}\r\nContent-Length: 0",
    "two, the short one first": "Content-Length: 0\r\nContent-Length: {n}",
    "with an underscore beside it": "Content-Length: {n}\r\nContent_Length: 0",
}
# The beginning of a chunked body which one server takes for its end; the hidden request follows.
CHUNKS: dict[str, str] = {
    "a bare LF after the size": "0\n\r\n",
    "bare LFs": "0\n\n",
    "a bare CR after the size": "0\r\r\n",
    "a space before the size": " 0\r\n\r\n",
    "a space after the size": "0 \r\n\r\n",
    "a tab after the size": "0\t\r\n\r\n",
    "a plus": "+0\r\n\r\n",
    "a minus": "-0\r\n\r\n",
    "hexadecimal": "0x0\r\n\r\n",
    "an underscore": "0_0\r\n\r\n",
    "no size": "\r\n\r\n",
    "no size but an extension": ";a=b\r\n\r\n",
    "no hexadecimal": "g\r\n\r\n",
    "an overflow of 64 bits": "10000000000000000\r\n\r\n",
    "a bare LF in an extension": "0;a=\nb\r\n\r\n",
    "a bare CR in an extension": "0;a=\rb\r\n\r\n",
    "a NUL in an extension": "0;a=\x00\r\n\r\n",
    "a chunk without its end": "1\r\nZ0\r\n\r\n",
    "a chunk longer than its size": "1\r\nZZ\r\n0\r\n\r\n",
    "a chunk ended by a bare LF": "1\r\nZ\n0\r\n\r\n",
    "a length among the trailers": "0\r\nContent-Length: 9\r\n\r\n",
    "an encoding among the trailers": "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a trailer without a colon": "0\r\nnonsense\r\n\r\n",
}


def hidden(world: World, number: int) -> bytes:
    return f"GET {world.inner(number)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def outer(*lines: str, body: bytes) -> bytes:
    head = "\r\n".join((OUTER, "Host: localhost", "Content-Type: application/json", *lines))
    return head.encode("latin-1") + b"\r\n\r\n" + body


def cases(world: World) -> list[Case]:
    """None of the hidden requests may be served: each message is refused, or its rest is its body."""
    rows: list[tuple[str, bytes]] = []

    def inner() -> bytes:
        return hidden(world, len(rows))

    for name, line in ENCODINGS.items():
        body = b"0\r\n\r\n" + inner()
        rows.append((f"length, then chunks: {name}", outer(f"Content-Length: {len(body)}", line, body=body)))
        piece = inner()
        size = f"{len(piece):x}\r\n".encode()
        body = size + piece + b"\r\n0\r\n\r\n"
        rows.append((f"chunks, then length: {name}", outer(f"Content-Length: {len(size)}", line, body=body)))
    for name, line in LENGTHS.items():
        body = inner()
        rows.append((f"length, {name}", outer(line.format(n=len(body)), body=body)))
    for name, start in CHUNKS.items():
        body = start.encode("latin-1") + inner()
        rows.append((f"chunks, {name}", outer("Transfer-Encoding: chunked", body=body)))
    body = inner()
    rows.append(("no length", outer(f"Content-Length: {len(body)}", body=body)))
    body = inner()
    rows.append(("no length of a look", outer(f"Content-Length: {len(body)}", body=body).replace(b"POST", b"GET", 1)))
    body = inner()
    rows.append(("no length of HTTP/1.0", outer(f"Content-Length: {len(body)}", body=body).replace(b"1.1", b"1.0", 1)))
    body = inner()
    rows.append(("no length that expects", outer(f"Content-Length: {len(body)}", "Expect: 100-continue", body=body)))
    body = inner()
    rows.append(
        (
            "no length of a static file",
            outer(f"Content-Length: {len(body)}", body=body).replace(b"/api/tasks/fail", b"/static/stack/app.css", 1),
        )
    )
    body = b"0\r\n\r\n" + inner()
    rows.append(("chunks of HTTP/1.0", outer("Transfer-Encoding: chunked", body=body).replace(b"1.1", b"1.0", 1)))
    piece = inner()
    body = f"{len(piece):x}\r\n".encode() + piece + b"\r\n0\r\n\r\n"
    rows.append(("a hidden request in a chunk", outer("Transfer-Encoding: chunked", body=body)))
    rows.append(("a hidden request in a header, LF", outer(f"X-A: a\n\n{inner().decode()}", body=b"")))
    rows.append(("a hidden request in a header, CR", outer(f"X-A: a\r\r{inner().decode()}".rstrip(), body=b"")))
    rows.append(
        ("a hidden request in the target", outer(body=b"").replace(b" HTTP/1.1", b"\x0b HTTP/1.1\n\n" + inner(), 1))
    )
    valid = {f"chunks, then length: {name}" for name in NO_ENCODING}
    return [
        Case(name, data, OPEN | {0, 200}, world.inner(number), valid=name in valid)
        for number, (name, data) in enumerate(rows)
    ]


def victims(world: World, count: int) -> list[Case]:
    """Calls of others meanwhile, each of which must get the answer to what it asked: a 404 that names it."""
    token = f"Authorization: Bearer {world.token}"
    return [
        Case(f"victim-{number}-", request("GET", f"/api/tasks/victim-{number}-", token), frozenset({404}), victim=True)
        for number in range(count)
    ]


def pipelined(world: World) -> list[Case]:
    """Two requests in one go: each is judged by its own token."""
    with_token = f"GET /api/queues HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.token}\r\n\r\n"
    look = f"GET /api/tasks/{world.task_id} HTTP/1.1\r\nHost: localhost\r\n"
    body = f'{{"args": ["{world.marker}"]}}'
    post = (
        "POST /api/tasks/fail HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )
    rows = {
        "a look after one with a token": with_token + look + "Connection: close\r\n\r\n",
        "a task after one with a token": with_token + post,
        "a look before one with a token": look + "\r\n" + with_token,
    }
    return [Case(name, text.encode(), frozenset({200, 401, 429})) for name, text in rows.items()]
