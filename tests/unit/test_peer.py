"""What the web role keeps for a client that does not take it yet."""

import socket
import tempfile
from collections.abc import Iterator

import pytest

from stack.http.peer import ANSWERS, Peer


@pytest.fixture
def pair() -> Iterator[tuple[Peer, socket.socket]]:
    ours, theirs = socket.socketpair()
    with Peer(ours) as peer, theirs:
        yield peer, theirs


def test_small_pieces_take_little_more_than_their_bytes(pair: tuple[Peer, socket.socket]) -> None:
    peer, client = pair
    peer.sendall(b"-" * 400_000)

    for number in range(20_000):
        peer.sendall(b"%d" % (number % 10))

    assert len(peer.out) < 100
    received = b""
    while len(received) < 420_000:
        received += client.recv(100_000)
        peer.flush()
    assert received[400_000:] == b"0123456789" * 2_000
    assert not peer.out


def test_an_answer_returns_what_it_took(pair: tuple[Peer, socket.socket]) -> None:
    before = ANSWERS.left
    peer, _client = pair
    peer.sendall(b"-" * 2_000_000)
    assert ANSWERS.left < before

    peer.close()

    assert ANSWERS.left == before


def test_a_file_that_became_shorter_ends_the_connection(pair: tuple[Peer, socket.socket]) -> None:
    peer, _client = pair
    with tempfile.TemporaryFile() as file:
        file.write(b"short")
        file.flush()

        with pytest.raises(BrokenPipeError):
            peer.sendfile(file, 0, 10)
