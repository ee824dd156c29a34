"""Many connections, kept ones, odd chunks and long answers: what one of them does is no other's business."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.machine import patience
from tests.roles.sockets import Answer, head, pieces
from tests.roles.webs import MEBIBYTE, Own, own_web

PING = head("GET /livez")
CHUNKED = head("POST /own/body", Transfer_Encoding="chunked")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    with own_web(tmp_path_factory.mktemp("connections")) as own:
        yield own


@pytest.mark.parametrize("data", [PING, PING[:10]], ids=["kept", "half"])
def test_a_connection_that_is_ended_to_make_room_ends_alone(web: Own, data: bytes) -> None:
    process = web.process()
    with web.stalled(399, data) as clients:
        if data == PING:
            for client in clients:
                assert client.recv(1000)
        # The poller must see both in one look: somebody who comes, and a word of who has to go for them.
        os.kill(process, signal.SIGSTOP)
        with web.stalled(3, b""):
            for client in clients[:5]:
                client.sendall(PING if data == PING else b"n")
            os.kill(process, signal.SIGCONT)
            web.is_alive()

    assert web.process() == process, "the process is not the same one: see the log"


def test_small_chunks_cost_no_more_than_large_ones(web: Own) -> None:
    begun = time.monotonic()

    answer = web.ask(head("POST /own/body", Transfer_Encoding="chunked", Connection="close"), pieces(b"a" * 150_000, 1))

    assert answer.status == 200
    assert time.monotonic() - begun < patience(10)


def test_what_frames_the_chunks_counts_as_a_body_does(web: Own) -> None:
    framed = b"1;a=%s\r\na\r\n" % (b"b" * 8000)

    assert web.ask(CHUNKED, framed * 2000).error() == "too_large"


def test_a_kept_connection_keeps_no_body(web: Own) -> None:
    # The first of all imports what the application needs.
    with web.open(CHUNKED + pieces(b"a" * 1_000_000, 1_000_000)) as client:
        assert Answer(client.recv(10_000)).status == 200
    before = web.memory()

    with ExitStack() as stack:
        for _ in range(180):
            client = stack.enter_context(web.open(CHUNKED + pieces(b"a" * 1_000_000, 1_000_000)))
            assert Answer(client.recv(10_000)).status == 200
        assert web.memory() - before < 120  # kept, they are 180; Python 3.14 collects garbage later


@pytest.mark.parametrize("path", ["/nothing", "/own/large"])
def test_a_request_that_follows_a_body_nobody_read_is_answered(web: Own, path: str) -> None:
    unread = head(f"POST {path}", Content_Length="500000") + b"a" * 500_000

    answer = web.ask(unread + head("GET /version", Connection="close"))

    assert b'"name": "django-celery-stack"' in answer.raw


def test_who_reads_nothing_keeps_nobody_from_sending(web: Own) -> None:
    with web.stalled(1, head("GET /own/stream"), window=2048):
        for _ in range(40):
            begun = time.monotonic()
            assert web.post("/own/body", b"a" * 900_000).status == 200
            assert time.monotonic() - begun < patience(5)


def test_answers_that_nobody_reads_take_a_bounded_memory(web: Own) -> None:
    before = web.memory()

    with web.stalled(80, head("GET /own/large"), window=2048):
        web.is_alive()
        assert web.memory() - before < 150


def test_a_file_waits_for_its_reader_without_a_thread(web: Own) -> None:
    asked = head("GET /own/file", Connection="close")

    with web.stalled(12, asked, window=65536) as clients:
        web.is_alive()
        assert [len(web.read(client).body) for client in clients] == [24 * MEBIBYTE] * 12


@pytest.mark.slow
def test_who_waits_for_memory_is_not_called_slow(web: Own) -> None:
    body = head("POST /own/body", Content_Length="1000000") + b"a" * 990_000
    with web.stalled(45, body) as clients:
        for client in clients:
            client.settimeout(patience(40))
        codes = {web.read(client).error() for client in clients}

    assert codes == {"timeout", "busy"}


@pytest.mark.slow
def test_a_large_answer_comes_whole_to_a_slow_line(web: Own) -> None:
    raw, begun = 0, time.monotonic()
    with web.open(head("GET /own/larger", Connection="close"), window=65536) as client:
        while piece := client.recv(65536):
            raw += len(piece)
            if time.monotonic() - begun < 13:
                time.sleep(0.1)

    assert raw > 48 * MEBIBYTE
