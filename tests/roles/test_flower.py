"""Flower against a Redis that goes silent, and with a state that a crash has left half written."""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.roles.conftest import Redis, Role, free_port
from tests.waiting import stays, wait_until

AUTH = ("flower", "f" * 20)


class Firewall:
    """Forwards connections to Redis; `forget` makes it drop what goes over those of now, and close none of them."""

    def __init__(self, to: int):
        self.to, self.pairs = to, list[dict[socket.socket, socket.socket]]()
        self.forgotten: list[dict[socket.socket, socket.socket]] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def forget(self) -> int:
        """How many connections go nowhere from now on."""
        self.forgotten, count = self.forgotten + self.pairs, len(self.pairs)
        self.pairs = []
        return count

    def _run(self) -> None:
        while not self.ended.is_set():
            pairs = list(self.pairs)
            ways = {end: other for pair in pairs for end, other in pair.items()}
            for end in select.select([self.server, *ways], [], [], 0.2)[0]:
                if end is self.server:
                    one, other = self.server.accept()[0], socket.create_connection(("127.0.0.1", self.to))
                    self.pairs.append({one: other, other: one})
                elif data := self._read(end):
                    ways[end].sendall(data)
                else:
                    pair = next(pair for pair in pairs if end in pair)
                    self._close(pair)
                    self.pairs = [each for each in self.pairs if each is not pair]
                    break

    def _read(self, end: socket.socket) -> bytes:
        try:
            return end.recv(65536)
        except OSError:
            return b""

    def _close(self, pair: dict[socket.socket, socket.socket]) -> None:
        for end in pair:
            end.close()

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()
        for pair in self.pairs + self.forgotten:
            self._close(pair)
        self.server.close()


@pytest.fixture
def firewall(redis_server: Redis) -> Iterator[Firewall]:
    wall = Firewall(redis_server.port)
    yield wall
    wall.stop()


@pytest.fixture
def run_flower(run_role: Callable[..., Role]) -> Callable[..., tuple[Role, Callable[[str], Any]]]:
    """Start Flower; returns its process and a function that asks its API."""

    def start(instance: str = "flower", **variables: str) -> tuple[Role, Callable[[str], Any]]:
        port = free_port()
        role = run_role("flower", instance, FLOWER_BIND=f"127.0.0.1:{port}", **variables).wait_ready()

        def ask(path: str) -> Any:
            answer = requests.get(f"http://127.0.0.1:{port}{path}", auth=AUTH, timeout=20)
            assert answer.status_code == 200, answer.text
            return answer.json()

        return role, ask

    return start


def seen(send: Callable[..., str], ask: Callable[[str], Any], within: float = 3) -> str:
    """Send a task that Flower then knows; returns its id."""
    task_id = send("add", 1, 2)
    wait_until(lambda: ask(f"/api/task/info/{task_id}"), within)
    return task_id


@pytest.mark.slow
@pytest.mark.chaos
def test_flower_hears_again_after_its_connections_went_silent(
    run_role: Callable[..., Role], run_flower: Any, send: Callable[..., str], firewall: Firewall
) -> None:
    run_role("worker").wait_ready()
    flower, ask = run_flower(REDIS_URL=f"redis://default@127.0.0.1:{firewall.port}/0")
    wait_until(lambda: seen(send, ask), 30)

    assert firewall.forget() >= 1

    # It may be blind for ten seconds. The first task after that is seen: one that it does not hear is never known.
    stays(lambda: flower.process.poll() is None, 10)
    seen(send, ask, within=20)


@pytest.mark.slow
def test_a_half_written_state_is_put_aside_and_flower_starts(
    run_role: Callable[..., Role], run_flower: Any, send: Callable[..., str], tmp_path: Path
) -> None:
    worker = run_role("worker").wait_ready()
    first, ask = run_flower()
    wait_until(lambda: seen(send, ask), 30)
    worker.end()
    first.process.terminate()
    assert first.process.wait(20) == 0
    files = [file for file in (tmp_path / "flower").iterdir() if file.stat().st_size]
    assert files
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        # What a kill in the middle of writing leaves beside it.
        file.with_name(file.name.replace("state", "state.tmp", 1)).write_bytes(content[:7])

    second, ask = run_flower("flower-2")

    assert ask("/api/tasks") == {}
    assert "moving it aside" in second.log.read_text()
    second.process.terminate()
    assert second.process.wait(20) == 0
    _, ask = run_flower("flower-3")
    assert "moving it aside" not in (tmp_path / "flower-3.log").read_text()
