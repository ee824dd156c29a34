"""Forms of the token: what is one, and what is none."""

import base64
from urllib.parse import quote

from tests.e2e.attacks.oracle import Case, World, request

# A guess too many is told to wait.
REFUSED = frozenset({400, 401, 429})
PASSES = frozenset({200})


def cases(world: World) -> list[Case]:
    """Each asks for a result of the token's holder."""
    right = world.token
    basic = base64.b64encode(f"api:{right}".encode()).decode()
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in right).encode().decode("latin-1")
    passing = {
        "as it is": (f"Authorization: Bearer {right}",),
        "a scheme in small letters": (f"Authorization: bearer {right}",),
        "a scheme in capital letters": (f"AUTHORIZATION: BEARER {right}",),
        "spaces around the value": (f"Authorization:   Bearer {right}  ",),
    }
    refused: dict[str, tuple[str, ...]] = {
        "none": (),
        "an empty header": ("Authorization:",),
        "the scheme only": ("Authorization: Bearer",),
        "the scheme and a space": ("Authorization: Bearer ",),
        "an empty quoted token": ('Authorization: Bearer ""',),
        "the token only": (f"Authorization: {right}",),
        "Basic": (f"Authorization: Basic {basic}",),
        "Basic with the token as it is": (f"Authorization: Basic {right}",),
        "Token": (f"Authorization: Token {right}",),
        "Digest": (f'Authorization: Digest username="api", response="{right}"',),
        "no space": (f"Authorization: Bearer{right}",),
        "a colon": (f"Authorization: Bearer: {right}",),
        "an equals sign": (f"Authorization: Bearer={right}",),
        "a tab": (f"Authorization: Bearer\t{right}",),
        "the scheme twice": (f"Authorization: Bearer Bearer {right}",),
        "quoted": (f'Authorization: Bearer "{right}"',),
        "a prefix of the token": (f"Authorization: Bearer {right[:-1]}",),
        "the first letter": (f"Authorization: Bearer {right[0]}",),
        "one letter more": (f"Authorization: Bearer {right}x",),
        "a NUL more": (f"Authorization: Bearer {right}\x00",),
        "an encoded NUL more": (f"Authorization: Bearer {right}%00",),
        "capital letters": (f"Authorization: Bearer {right.upper()}",),
        "percent-encoded": (f"Authorization: Bearer {quote(right[0])}%{ord(right[1]):02x}{right[2:]}",),
        "base64": (f"Authorization: Bearer {base64.b64encode(right.encode()).decode()}",),
        "wide letters": (f"Authorization: Bearer {wide}",),
        "letters beyond ASCII": ("Authorization: Bearer \xff\xfe\xe9",),
        "a word after it": (f"Authorization: Bearer {right} x",),
        "a comma and another": (f"Authorization: Bearer {right}, Bearer wrong",),
        "another and a comma": (f"Authorization: Bearer wrong, Bearer {right}",),
        "a second header, wrong": (f"Authorization: Bearer {right}", "Authorization: Bearer wrong"),
        "a second header, right": ("Authorization: Bearer wrong", f"Authorization: Bearer {right}"),
        "a space before the colon": (f"Authorization : Bearer {right}",),
        "an underscore": (f"HTTP_AUTHORIZATION: Bearer {right}",),
        "Proxy-Authorization": (f"Proxy-Authorization: Bearer {right}",),
        "X-API-Key": (f"X-API-Key: {right}", f"X-API-Token: {right}", f"X-Auth-Token: {right}"),
        "X-Forwarded-Authorization": (f"X-Forwarded-Authorization: Bearer {right}",),
        "a cookie": (f"Cookie: token={right}; API_TOKEN={right}; Authorization=Bearer%20{right}",),
        "the words of JavaScript": ("Authorization: Bearer undefined",),
        "a pattern": ("Authorization: Bearer *",),
        "very long": (f"Authorization: Bearer {right * 200}",),
    }
    target = f"/api/tasks/{world.task_id}"
    found = [Case(name, request("GET", target, *lines), PASSES, holder=True) for name, lines in passing.items()]
    found += [Case(name, request("GET", target, *lines), REFUSED | {431}) for name, lines in refused.items()]
    # One server may read what another refuses: with the right token that is no harm.
    for name, lines in {
        "two spaces": (f"Authorization: Bearer  {right}",),
        "a folded header": ("Authorization: Bearer", f" {right}"),
    }.items():
        found.append(Case(name, request("GET", target, *lines), PASSES | REFUSED, holder=True))
    for name, query in (
        ("in the query", f"?token={right}&access_token={right}&api_key={right}"),
        ("in the query, as a header", f"?Authorization=Bearer%20{right}"),
    ):
        found.append(Case(name, request("GET", target + query), REFUSED))
    return found
