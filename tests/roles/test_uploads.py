"""Bodies and heads at their limits: taken, or refused in the contract's JSON before anything reads them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.roles.conftest import PROJECT, Redis, Role, free_port
from tests.roles.sockets import HOST, Web, head, multipart, pieces
from tests.roles.webs import JSON, MEBIBYTE, Own, options, own_web
from tests.waiting import Process, wait_until


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    with own_web(tmp_path_factory.mktemp("uploads")) as own:
        yield own


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "script_name", "PATH_INFO", "REMOTE_USER", "HTTP_HOST"])
def test_no_header_changes_which_address_is_asked(web: Own, name: str) -> None:
    for value in ("/x", "/other"):
        given = f"{name}: {value}".encode()
        lines = [b"GET /x/version HTTP/1.1", b"Host: localhost", given, b"Connection: close", b"", b""]
        assert web.ask(b"\r\n".join(lines)).status == 404, value


def test_gunicorn_takes_no_scheme_from_a_client(web: Own) -> None:
    for header in ("X_Forwarded_Ssl", "X_Forwarded_Protocol"):
        assert web.get("/livez", **{header: "on"}).status == 200
    both = web.get("/livez", X_Forwarded_Proto="https", X_Forwarded_Ssl="off")
    assert both.status == 200, "two that contradict each other were an error of gunicorn's"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 200 + b"\r\n", 431),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 200_000, 431),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /" + b"a" * 200_000, 414),
        (b"GET /livez#part HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /livez HTTP/9.9\r\n" + HOST + b"\r\n", 400),
        (b"GET /livez HTTP/1.1\n" + HOST.replace(b"\r", b"") + b"\n", 400),
        (b"GET /livez HTTP/1.1\r\nNo colon\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (head("GET /livez", Expect="nothing"), 417),
        (head("POST /own/body", Content_Length="-1"), 400),
        (head("POST /own/body", Content_Length="3", Transfer_Encoding="chunked") + b"abc", 400),
        (head("POST /own/body", Transfer_Encoding="gzip, chunked") + b"0\r\n\r\n", 501),
        (head("POST /own/body", Transfer_Encoding="chunked") + b"-5\r\nabc", 400),
        (head("POST /own/body", Transfer_Encoding="chunked") + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
        (head("POST /own/body", Transfer_Encoding="chunked") + b"3\r\nabcdef\r\n0\r\n\r\n", 400),
        (head("POST /own/body", Transfer_Encoding="chunked") + b"3" * 9_000, 400),
    ],
    ids=range(22),
)
def test_what_is_no_request_is_refused_in_the_shape_of_errors(web: Own, data: bytes, status: int) -> None:
    answer = web.ask(data)

    assert answer.status == status, answer.raw[:300]
    answer.error()


@pytest.mark.parametrize(
    ("path", "length", "kind"),
    [("/own/upload", 100 * MEBIBYTE, "multipart/form-data; boundary=x"), ("/", 7 * MEBIBYTE, "text/plain")],
)
def test_a_body_over_the_limit_is_refused_before_it_comes(web: Own, path: str, length: int, kind: str) -> None:
    answer = web.ask(head(f"POST {path}", Content_Length=str(length), Content_Type=kind), b"abc")

    assert answer.status == 413
    assert answer.error() == "too_large"
    assert "Connection: close" in answer.top
    asked = web.ask(head(f"POST {path}", Content_Length=str(length), Content_Type=kind, Expect="100-continue"))
    assert asked.status == 413, "a client that asks first is not told to send"


def test_who_sends_it_all_the_same_can_read_the_refusal(web: Own) -> None:
    assert web.post("/own/body", b"a" * 7 * MEBIBYTE).error() == "too_large"
    assert web.ask(head("POST /own/upload", Transfer_Encoding="chunked"), pieces(b"a" * 7 * MEBIBYTE)).status == 413


@pytest.mark.parametrize("size", [1000, 2 * MEBIBYTE, 5 * MEBIBYTE])
def test_an_upload_within_the_limit_is_taken_with_and_without_a_length(web: Own, size: int) -> None:
    body, kind = multipart(size)

    plain = web.post("/own/upload", body, **kind)
    chunked = web.ask(head("POST /own/upload", Transfer_Encoding="chunked", Connection="close", **kind), pieces(body))

    assert json.loads(plain.body) == json.loads(chunked.body) == {"file": size}
    assert web.left() == []


def test_json_in_chunks_is_taken_within_the_limit(web: Own) -> None:
    asked = head("POST /api/tasks/add", Transfer_Encoding="chunked", Connection="close", **JSON)

    assert web.ask(asked, pieces(b'{"args": [1, 2]}', 3)).status == 202
    assert web.ask(asked, b'10;a="b"\r\n{"args": [1, 2]}\r\n0\r\nX-Sum: x\r\n\r\n').status == 202
    large = web.ask(asked, pieces(b'{"args": [1, 2]}' + b" " * 2 * MEBIBYTE))
    assert large.status == 413
    assert large.error() == "too_large"


def test_requests_in_one_connection_are_told_apart(web: Own) -> None:
    body = b'{"args": [1, 2]}'
    chunked = head("POST /own/body", Transfer_Encoding="chunked", **JSON) + pieces(body, 5)
    sized = head("POST /own/body", Content_Length="3") + b"abc"
    unread = head("POST /nothing", Content_Length="3") + b"GET"

    answer = web.ask(chunked + sized + unread + chunked + head("GET /livez", Connection="close"))

    text = answer.raw.decode()
    assert re.findall(r"HTTP/1.1 (\d+)", text) == ["200", "200", "404", "200", "200"]
    assert re.findall(r'"length": (\d+)', text) == ["16", "3", "16"]


def test_a_body_is_asked_for_where_the_client_waits_for_it(web: Own) -> None:
    with web.open(head("POST /own/body", Expect="100-continue", Content_Length="3", Connection="close")) as client:
        assert client.recv(1000).startswith(b"HTTP/1.1 100")
        client.sendall(b"abc")
        assert json.loads(web.read(client).body) == {"length": 3}


def test_a_page_that_takes_no_post_says_so_before_the_token_is_looked_for(web: Own) -> None:
    cookie = {"Cookie": "csrftoken=" + "a" * 32}
    form = {"Content_Type": "application/x-www-form-urlencoded"}

    assert web.post("/", b"a=b", **form, **cookie).status == 405
    assert web.post("/version", b"a=b", **form, **cookie).status == 405
    assert web.post("/own/form", b"a=b", **form, **cookie).status == 403


def test_a_client_that_leaves_in_the_middle_leaves_no_traceback(web: Own) -> None:
    body, kind = multipart(4 * MEBIBYTE)
    for path in ("/own/upload", "/own/body", "/own/form", "/api/datasets"):
        asked = head(f"POST {path}", Content_Length=str(len(body)), Cookie="csrftoken=" + "a" * 32, **kind)
        with web.open(asked + body[: 3 * MEBIBYTE]) as client:
            wait_until(lambda path=path: f"POST {path}" in web.log(), 10)  # type: ignore[misc]
            client.shutdown(1)
            web.read(client)
    lines = [json.loads(line) for line in web.log().splitlines() if '"request_finished"' in line]

    left = [line for line in lines if line["code"] == 499]
    assert {line["request"] for line in left} >= {"POST /own/upload", "POST /own/form", "POST /api/datasets"}
    assert "Traceback" not in web.log()
    assert not [line for line in lines if line["code"] >= 500]
    assert web.left() == []


def test_no_query_string_is_logged(web: Own) -> None:
    web.get("/version?token=very-secret")
    web.ask(b"GET /version?token=very-secret HTTP/9.9\r\n\r\n")
    web.get("/nothing?token=very-secret", Host="evil.example")

    assert "GET /version" in web.log()
    assert "very-secret" not in web.log()


def test_a_full_disk_is_a_507_and_nothing_stays(
    run_role: Callable[..., Role], redis_server: Redis, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=2m none "{small}" && exec "$0" "$@"']
    if subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system gives an unprivileged user no file system of its own")
    port = free_port()
    role = run_role("beat", "unused")  # only for its environment
    role.end()
    env = role.env | options(port, small)
    command = [*mount, sys.executable, str(PROJECT / "app/service.py"), "run", "web"]
    with (tmp_path / "full.log").open("w") as log, Process(command, env=env, stdout=log, stderr=log) as process:
        try:
            web = Web(port)
            wait_until(lambda: web.get("/livez").status == 200, 40)
            body, kind = multipart(4 * MEBIBYTE)
            for _ in range(2):
                # An address of the project's own answers as a project does, the API in its own shape.
                assert web.post("/own/upload", body, **kind).status == 507
                assert web.post("/api/datasets", body, **kind).error() == "disk_full"
                assert web.post("/own/full", b"").status == 507
                chunked = head("POST /own/upload", Transfer_Encoding="chunked", **kind)
                assert web.ask(chunked, pieces(body)).status == 507
            fits, kind = multipart(MEBIBYTE)
            assert web.post("/own/upload", fits, **kind).status == 200, "nothing of the others is left"
        finally:
            process.terminate()
            process.wait(20)
