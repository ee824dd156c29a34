"""HTTP/2 by hand: as much of RFC 9113 and of HPACK as it takes to say what no library would say."""

from collections.abc import Iterable, Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4
STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}  # HPACK's static table


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def number(value: int, bits: int, first: int = 0) -> bytes:
    """An integer of HPACK with a prefix of so many bits."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((first | value,))
    rest, found = value - limit, bytes((first | limit,))
    while rest >= 128:
        found += bytes((rest % 128 + 128,))
        rest //= 128
    return found + bytes((rest,))


def block(fields: Iterable[tuple[str, str]]) -> bytes:
    """A header block: every field literally, never indexed, never compressed."""
    found = b""
    for name, value in fields:
        found += b"\x00"
        for text in (name.encode("latin-1"), value.encode("latin-1")):
            found += number(len(text), 7) + text
    return found


def fields_of(payload: bytes) -> Iterator[tuple[str, str]]:
    """What `block` has made, read again."""
    while payload:
        texts, payload = [], payload[1:]
        for _ in range(2):
            length, place = payload[0], 1
            if length == 127:
                shift = 0
                while True:
                    length += (payload[place] & 127) << shift
                    shift, place = shift + 7, place + 1
                    if payload[place - 1] < 128:
                        break
            texts.append(payload[place : place + length].decode("latin-1"))
            payload = payload[place + length :]
        yield texts[0], texts[1]


def frames(raw: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each whole frame."""
    while len(raw) >= 9:
        length = int.from_bytes(raw[:3], "big")
        yield raw[3], raw[4], int.from_bytes(raw[5:9], "big"), raw[9 : 9 + length]
        raw = raw[9 + length :]


def statuses(raw: bytes) -> list[int]:
    """The statuses of the answers that a server has sent; 0 for one that cannot be read."""
    found = []
    for kind, _, _, payload in frames(raw):
        if kind == HEADERS:
            shown = payload.lstrip(bytes(range(0x20, 0x40)))  # without changes of the table's size
            first = shown[0] if shown else 0
            text = shown[2 : 2 + shown[1]] if first in (0x08, 0x18, 0x48) else b""
            found.append(STATUSES.get(first & 0x7F, 0) if first & 0x80 else int(text) if text.isdigit() else 0)
    return found
