"""Whichever way the database is gone, the stack's own addresses say so in under two seconds; a project's as ever."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import requests

from tests.machine import patience
from tests.roles import postgres
from tests.roles.conftest import Redis, Role, free_port
from tests.roles.ledger import Ledger
from tests.roles.postgres import Postgres
from tests.waiting import best_of, wait_until

pytestmark = [
    pytest.mark.xdist_group("postgres-web"),
    pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing()),
]
OPTIONS = {"LEDGER_RESULTS": "django-db", "WEB_WORKERS": "1", "WEB_THREADS": "4"}


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.remove()


class Web:
    """The web role of the ledger, whose results are in its database."""

    def __init__(self, project: Ledger):
        self.project, self.port = project, free_port()
        self.role = project.start("web", WEB_BIND=f"127.0.0.1:{self.port}")

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=patience(20))

    def says_so(self, path: str, at_once: int = 1) -> None:
        """A 503 in the shape of errors, in time, to so many who ask at once."""

        def asked() -> float:
            answer = self.get(path)
            assert answer.status_code == 503, (answer.status_code, answer.text[:300])
            assert int(answer.headers["Retry-After"]) > 0
            assert "database" in answer.text
            return answer.elapsed.total_seconds()

        def took() -> float:
            with ThreadPoolExecutor(at_once) as askers:
                return max(askers.map(lambda _: asked(), range(at_once)))

        best_of(took, 2)


@pytest.fixture
def web(redis_server: Redis, database: Postgres, run_role: Callable[..., Role], tmp_path: Path) -> Callable[..., Web]:
    def start(**variables: str) -> Web:
        web = Web(Ledger(redis_server, database, run_role, tmp_path, **OPTIONS | variables))
        # A task that is known: what the API shows of it is read from the database.
        redis_server.client.hset("stack:task:one", mapping={"name": "ledger.tasks.read", "queued_at": "1"})
        wait_until(lambda: web.get("/livez").status_code == 200, 40)
        return web

    return start


def test_a_database_that_is_stopped_or_hangs_is_a_503_in_time(web: Callable[..., Web], database: Postgres) -> None:
    served = web(LEDGER_MAX_AGE="600", LEDGER_ATOMIC="yes")
    served.project.migrate()
    assert served.get("/stack/api/tasks/one").json()["state"] == "PENDING"
    assert served.get("/show").text == "1"
    for away, back in ((database.freeze, database.thaw), (database.stop, database.start)):
        away()  # under connections that are kept
        try:
            served.says_so("/stack/api/tasks/one", at_once=8)  # two for each thread
            served.says_so("/readyz")
            if away == database.stop:
                served.says_so("/stack/api/workers")  # it asks Redis alone, in the transaction that the project wants
            for path in ("/livez", "/stack/", "/stack/version", "/stack/api/docs", "/stack/api/openapi.json"):
                assert served.get(path).status_code == 200
        finally:
            back()
        wait_until(lambda: served.get("/readyz").status_code == 200, 20)
        assert served.get("/stack/api/tasks/one").json()["state"] == "PENDING"
    database.stop()
    try:
        assert served.get("/show").status_code == 500  # Django's, as a project knows it
    finally:
        database.start()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["accepts and says nothing", "drops packets", "has no name"])
def test_a_database_that_is_silent_or_has_no_name_is_a_503_in_time(how: str, web: Callable[..., Web]) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        listener.listen(16 if how == "accepts and says nothing" else 0)
        host, port = "127.0.0.1", str(listener.getsockname()[1])
        if how == "drops packets":  # its queue is full, so that the kernel leaves further ones without an answer
            for _ in range(4):
                full = stack.enter_context(closing(socket.socket()))
                full.setblocking(False)
                full.connect_ex((host, int(port)))
        if how == "has no name":
            host = "nowhere.invalid"
        served = web(LEDGER_HOST=host, LEDGER_PORT=port)
        served.says_so("/stack/api/tasks/one")
        served.says_so("/readyz")
        assert served.get("/stack/").status_code == 200
