"""Addresses that a guard and a router may read differently. No row bears a token."""

from tests.e2e.attacks.oracle import OPEN, Case, World, request

# {} is what follows /api/. A row is a name, a target and further header lines; letters beyond ASCII are bytes.
TRICKS: list[tuple[str, str, tuple[str, ...]]] = [
    ("two slashes", "//api/{}", ()),
    ("three slashes", "///api/{}", ()),
    ("slashes inside", "/api//{}", ()),
    ("a dot", "/./api/{}", ()),
    ("a dot inside", "/api/./{}", ()),
    ("dots", "/x/../api/{}", ()),
    ("dots above the root", "/../api/{}", ()),
    ("static and back", "/static/../api/{}", ()),
    ("static and back, encoded", "/static/%2e%2e/api/{}", ()),
    ("livez and back", "/livez/../api/{}", ()),
    ("docs and back", "/api/docs/../{}", ()),
    ("openapi.json and back", "/api/openapi.json/..%2f{}", ()),
    ("an encoded dot", "/%2e/api/{}", ()),
    ("encoded dots", "/x/%2e%2e/api/{}", ()),
    ("dots and an encoded slash", "/x/..%2fapi/{}", ()),
    ("all encoded", "/x%2f%2e%2e%2fapi%2f{}", ()),
    ("an encoded first slash", "/%2fapi/{}", ()),
    ("an encoded slash", "/api%2f{}", ()),
    ("an encoded letter", "/%61pi/{}", ()),
    ("encoded letters", "/%61%70%69/{}", ()),
    ("encoded twice", "/%2561pi/{}", ()),
    ("dots encoded twice", "/x/%252e%252e/api/{}", ()),
    ("capital letters", "/API/{}", ()),
    ("one capital letter", "/Api/{}", ()),
    ("a parameter", "/api;x=1/{}", ()),
    ("an empty parameter", "/;/api/{}", ()),
    ("dots with a parameter", "/x/..;/api/{}", ()),
    ("a parameter at the end", "/api/{};.css", ()),
    ("an extension", "/api/{}.json", ()),
    ("a trailing dot", "/api./{}", ()),
    ("a dot at the end", "/api/{}.", ()),
    ("a slash at the end", "/api/{}/", ()),
    ("a space at the end", "/api/{}%20", ()),
    ("a space", "/api%20/{}", ()),
    ("a tab", "/%09api/{}", ()),
    ("a newline", "/ap%0ai/{}", ()),
    ("a raw tab", "/\tapi/{}", ()),
    ("NUL", "/api%00/{}", ()),
    ("a raw NUL", "/api\x00/{}", ()),
    ("a backslash", "/api\\{}", ()),
    ("backslashes only", "\\api\\{}", ()),
    ("slash and backslash", "/\\api/{}", ()),
    ("an encoded backslash", "/api%5c{}", ()),
    ("dots and a backslash", "/x/..\\api/{}", ()),
    ("wide letters", "/\uff41\uff50\uff49/{}".encode().decode("latin-1"), ()),
    ("wide letters, encoded", "/%ef%bd%81%ef%bd%90%ef%bd%89/{}", ()),
    ("a long slash of UTF-8", "/x%c0%afapi/{}", ()),
    ("long dots of UTF-8", "/x/%c0%ae%c0%ae/api/{}", ()),
    ("a fragment", "/api/{}#/livez", ()),
    ("a fragment before", "/#/api/{}", ()),
    ("no slash", "api/{}", ()),
    ("absolute", "http://localhost/api/{}", ()),
    ("absolute, two slashes", "http://localhost//api/{}", ()),
    ("absolute, capital letters", "HTTP://LOCALHOST/x/../api/{}", ()),
    ("absolute, a foreign host", "http://evil.example/api/{}", ()),
    ("absolute, a user", "http://localhost@evil.example/api/{}", ()),
    ("absolute, no scheme of ours", "ftp://localhost/api/{}", ()),
    ("SCRIPT_NAME", "/x/api/{}", ("SCRIPT_NAME: /x",)),
    ("script_name", "/x/api/{}", ("script_name: /x",)),
    ("SCRIPT_NAME that is no prefix", "/api/{}", ("SCRIPT_NAME: /y",)),
    ("SCRIPT_NAME that is all", "/x/api/{}", ("SCRIPT_NAME: /x/api",)),
    ("Script-Name", "/x/api/{}", ("Script-Name: /x",)),
    ("HTTP_SCRIPT_NAME", "/x/api/{}", ("HTTP_SCRIPT_NAME: /x",)),
    ("PATH_INFO", "/livez", ("PATH_INFO: /api/{}",)),
    ("Path-Info", "/livez", ("Path-Info: /api/{}",)),
    ("X-Forwarded-Prefix", "/x/api/{}", ("X-Forwarded-Prefix: /x",)),
    ("X-Forwarded-Path", "/livez", ("X-Forwarded-Path: /api/{}",)),
    ("X-Original-URL", "/version", ("X-Original-URL: /api/{}",)),
    ("X-Rewrite-URL", "/version", ("X-Rewrite-URL: /api/{}",)),
    ("X-Original-URI", "/version", ("X-Original-URI: /api/{}",)),
    ("REMOTE_USER", "/api/{}", ("REMOTE_USER: admin", "Remote-User: admin")),
    ("X-Forwarded-For loopback", "/api/{}", ("X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1")),
    ("X-Forwarded-Host", "/api/{}", ("X-Forwarded-Host: 127.0.0.1", "X-Forwarded-Proto: https")),
    ("a method in a header", "/api/{}", ("X-HTTP-Method-Override: OPTIONS", "X-HTTP-Method: HEAD")),
]
# What is no call of the API may be answered as what it is: a page, a redirect, a probe.
ALLOWED = OPEN | {200, 301, 302, 308}


def cases(world: World) -> list[Case]:
    """Each trick thrice: a look at a result, a task, and a task as the page of another site would send it."""
    found = []
    for name, target, lines in TRICKS:
        for rest, method, more, body in (
            (f"tasks/{world.task_id}", "GET", (), b""),
            ("tasks/fail", "POST", ("Content-Type: application/json",), b'{"args": ["%s"]}' % world.marker.encode()),
            (
                "tasks/fail",
                "POST",
                ("Content-Type: text/plain", "Origin: https://evil.example"),
                b'{"args": ["%s"]}' % world.marker.encode(),
            ),
        ):
            full = [line.replace("{}", rest) for line in (*lines, *more)]
            data = request(method, target.replace("{}", rest), *full, body=body)
            found.append(Case(f"{name}: {method} {more[-1] if more else ''}", data, ALLOWED))
    return found
