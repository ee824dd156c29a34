"""A client that is slow waits for itself: /livez answers all the time, and each kind of slowness has its end."""

import contextlib
import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.roles.conftest import Role, free_port
from tests.roles.sockets import Answer, Web, head, multipart
from tests.roles.webs import options, own_web
from tests.waiting import wait_until

COOKIE = "csrftoken=" + "a" * 32
PAGE = head("POST /", Cookie=COOKIE, Content_Length="1000000") + b"abc"
CALL = head("POST /api/tasks/add", Content_Type="application/json", Content_Length="1000000") + b"abc"
START, KIND = multipart(100_000)
UPLOAD = head("POST /own/upload", Content_Length="4000000", **KIND) + START[:100_000]
BUNDLE = "/static/ninja/swagger-ui-bundle.js"
LARGE = head("GET /own/large")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with own_web(tmp_path_factory.mktemp("slow"), WEB_THREADS="4") as own:
        yield own


def waits(web: Web, seconds: int) -> bytes:
    """A call that is held for so long: no worker runs."""
    answer = web.post("/api/tasks/add", b'{"args": [1, 2]}', Content_Type="application/json")
    return head(f"GET {json.loads(answer.body)['url']}?wait={seconds}")


@pytest.mark.parametrize(
    ("many", "data"),
    [
        (50, b""),
        (50, b"GET / HTTP/1.1\r\nHost: loc"),
        (20, PAGE),
        (20, CALL),
        (20, CALL[:-3] + b"a" * 600_000),
        (20, UPLOAD[:-99_000]),
        (20, UPLOAD),
        (20, head("POST /own/upload", Transfer_Encoding="chunked", **KIND) + b"ffff\r\nabc"),
        (20, head("POST /own/upload", Expect="100-continue", Content_Length="4000000", **KIND)),
        (30, head("GET /livez", Connection="close")),
    ],
    ids=["connections", "heads", "page", "api", "half", "begun", "uploads", "chunked", "expecting", "lingering"],
)
def test_livez_answers_while_clients_stall(web: Web, many: int, data: bytes) -> None:
    with web.stalled(many, data):
        web.is_alive()


def test_livez_answers_while_clients_read_nothing(web: Web) -> None:
    asked = head(f"GET {BUNDLE}", Connection="close")
    with web.stalled(20, LARGE, window=2048), web.stalled(20, asked, window=2048) as clients:
        web.is_alive()
        answer = web.read(clients[0])

    assert f"Content-Length: {len(answer.body)}" in answer.top
    assert len(answer.body) > 1_000_000


def test_livez_answers_while_everything_that_may_wait_does(web: Web) -> None:
    held = waits(web, 30)
    with ExitStack() as stack:
        for data in (UPLOAD, held, LARGE, CALL):
            stack.enter_context(web.stalled(20, data, window=2048))
        web.is_alive()


def test_more_connections_than_one_process_takes_lock_nobody_out(web: Web) -> None:
    with web.stalled(450, b"GET / HTTP/1.1\r\nHost: loc"):
        web.is_alive()


@pytest.mark.slow
def test_a_stop_finishes_what_runs_and_waits_for_no_half_request(run_role: Callable[..., Role], tmp_path: Path) -> None:
    port = free_port()
    role, web = run_role("web", **options(port, tmp_path / "tmp")).wait_ready(), Web(port)
    held = waits(web, 1)
    with web.stalled(5, b"GET / HTTP/1.1\r\nHost: loc"), web.open(held) as client:
        with web.open(CALL[:-3]) as late:
            wait_until(lambda: role.log.read_text().count("request_started") >= 2, 10)
            role.process.send_signal(signal.SIGTERM)
            late.sendall(b'{"args": [1, 2]}' + b" " * 999_984)
            answers = web.read(client), web.read(late)
        assert role.process.wait(15) == 0

    assert [answer.status for answer in answers] == [200, 202]


def drip(client: socket.socket) -> bytes:
    """Send one byte more; what the server says within a second."""
    client.settimeout(1)
    with contextlib.suppress(TimeoutError, ConnectionError):
        client.sendall(b"a")
        return client.recv(1000)
    return b""


@pytest.mark.slow
def test_each_kind_of_slowness_ends_with_an_answer(web: Web) -> None:
    head_only, body = b"GET / HTTP/1.1\r\nHost: loc", CALL
    with web.open(head_only) as half, web.open(body) as call, web.stalled(3, UPLOAD) as uploads:
        # The time is a total one: a byte now and then does not prolong it.
        for client, seconds in ((half, 20), (call, 40)):
            raw = wait_until(lambda client=client: drip(client), seconds)  # type: ignore[misc]
            assert Answer(raw).error() == "timeout"
        codes = {web.read(client).status for client in uploads}
    # One is in the place for uploads, and ends for its slowness; others found no place, or the same end.
    assert codes <= {408, 503}
    assert 408 in codes
