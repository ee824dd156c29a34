"""Redis is restarted under load: who sends a task waits for it, in half of the threads; nobody else waits."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.machine import patience
from tests.roles.conftest import Redis, Role, free_port
from tests.roles.sockets import Answer
from tests.roles.webs import Own
from tests.waiting import best_of, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.xdist_group("restarted-redis")]
THREADS = 8  # of the one process
WITHIN = 2.0  # seconds in which every call is answered: a contract, not a benchmark
WAIT = 1.4  # seconds; who took as long has waited to the end
TASK = b'{"args": [1, 1]}'


class Call(NamedTuple):
    begun: float
    took: float
    answer: Answer


class Restarted(Own):
    """A web role whose Redis is stopped and started."""

    def __init__(self, port: int, role: Role, server: Redis):
        super().__init__(port, role)
        self.server = server

    def send(self, _: Any = None) -> Call:
        return self.timed(lambda: self.post("/api/tasks/add", TASK, Content_Type="application/json"))

    def timed(self, ask: Callable[[], Answer]) -> Call:
        begun = time.monotonic()
        answer = ask()
        return Call(begun, time.monotonic() - begun, answer)

    def works(self) -> None:
        wait_until(lambda: self.send().answer.status == 202, 15)


@pytest.fixture(scope="module", params=["gunicorn", "asgi"])
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    server = Redis(folder)
    role = Role(
        "web",
        server,
        folder,
        "web",
        WEB_BIND=f"127.0.0.1:{port}",
        WEB_WORKERS="1",
        WEB_THREADS=str(THREADS),
        WEB_SERVER=request.param,
        DATABASE_URL="sqlite://:memory:",
        DJANGO_SETTINGS_MODULE="senders_settings",
    ).wait_ready()
    yield Restarted(port, role, server)
    role.end()
    server.stop()


@pytest.fixture(autouse=True)
def _works_before_and_after(web: Restarted) -> Iterator[None]:
    web.works()
    yield
    web.server.process.send_signal(signal.SIGCONT)
    if web.server.process.poll() is not None:
        web.server.start()
    web.works()


def refused_politely(call: Call) -> bool:
    assert call.answer.status == 503, call.answer.raw
    assert call.answer.error() == "backend_down"
    return "retry-after: 5" in call.answer.top.lower()


def test_half_of_the_threads_wait_for_a_redis_that_is_restarted(web: Restarted) -> None:
    callers, half = 2 * THREADS, THREADS // 2

    def once() -> float:
        web.works()
        web.server.client.delete("celery")
        web.server.stop()
        with ThreadPoolExecutor(callers) as pool:
            under_way = [pool.submit(web.send) for _ in range(callers)]
            # All that do not wait have their answer before Redis is started.
            wait_until(lambda: sum(call.done() for call in under_way) == callers - half, 1.4, every=0.01, promised=True)
            web.server.start()
            came = time.monotonic()
            calls = [call.result() for call in under_way]
        if came - min(call.begun for call in calls) > 1.3:  # this machine was too slow for it
            return 99.0
        waited = [call for call in calls if call.answer.status == 202]
        assert len(waited) == half, [call.answer.raw for call in calls]
        assert all(refused_politely(call) for call in calls if call not in waited)
        assert web.server.client.llen("celery") == half, "each is sent once"
        return max(call.took for call in calls)

    best_of(once, WITHIN)


def test_while_redis_is_away_for_long_all_but_half_of_the_threads_answer(web: Restarted) -> None:
    web.server.stop()
    over, sent = threading.Event(), list[Call]()

    def sender() -> None:
        while not over.is_set():
            sent.append(web.send())

    with ThreadPoolExecutor(2 * THREADS) as pool:
        senders = [pool.submit(sender) for _ in range(2 * THREADS)]
        try:
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                for path, status in (("/livez", 200), ("/readyz", 503), ("/version", 200), ("/api/queues", 503)):
                    best_of(lambda path=path, status=status: asked(web, path, status), 0.5)  # type: ignore[misc]
        finally:
            over.set()
        for each in senders:
            each.result()
    assert all(refused_politely(call) for call in sent)
    waited = [call for call in sent if call.took > WAIT]
    assert waited
    seconds = max(call.begun + call.took for call in waited) - min(call.begun for call in waited)
    assert len(waited) <= THREADS // 2 * int(seconds / WAIT), "as many at a time as half of the threads"
    assert sorted(call.took for call in sent)[len(sent) * 95 // 100] < WITHIN
    assert max(call.took for call in sent) < patience(WITHIN)


def asked(web: Restarted, path: str, status: int) -> float:
    """Seconds that an answer takes, which has this status."""
    call = web.timed(lambda: web.get(path))
    assert call.answer.status == status, call.answer.raw
    return call.took


def test_a_redis_that_says_nothing_is_not_waited_for(web: Restarted) -> None:
    web.server.process.send_signal(signal.SIGSTOP)
    refused_politely(web.send())  # this one finds out
    best_of(lambda: web.send().took, 0.5)


@pytest.mark.parametrize(
    ("path", "least", "most"), [("/one", 1.0, WITHIN), ("/several", 1.0, WITHIN), ("/on-the-loop", 0.0, 0.5)]
)
def test_a_view_that_sends_waits_once_and_never_on_the_event_loop(
    web: Restarted, path: str, least: float, most: float
) -> None:
    if path == "/on-the-loop" and "asgi" not in web.role.env["WEB_SERVER"]:
        pytest.skip("without ASGI an async view has a thread of its own")
    web.server.stop()

    def once() -> float:
        answer = web.get(path)
        assert answer.status == 503, answer.raw
        said: dict[str, Any] = json.loads(answer.body)
        assert set(said["errors"]) == {"OperationalError"}
        assert said["took"] > least
        return float(said["took"])

    best_of(once, most)
