"""The Job that makes the Secret, against an API server of the test's own."""

import http.server
import importlib.util
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import HTTPError

import certifi
import pytest

FILE = Path(__file__).resolve().parents[2] / "k8s" / "base" / "make_secrets.py"
PATH = "/api/v1/namespaces/shop/secrets"
Answer = tuple[int, Any]
MISSING: Answer = (404, {"message": 'secrets "app-secrets" not found'})


class Server:
    """Answers with what is in `answers`, in turn; the last one for ever. A text is sent as it is."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, Any]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append((self.command, self.path, json.loads(body) if body else None))
                status, answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                if status == 0:  # never
                    outer.over.wait(10)
                    return
                self.send_response(status)
                self.end_headers()
                self.wfile.write((answer if isinstance(answer, str) else json.dumps(answer)).encode())

            do_POST = do_GET  # noqa: N815 (the names are http.server's)

            def log_message(self, *_: Any) -> None:
                pass

        self.over = threading.Event()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}).start()

    def close(self) -> None:
        self.over.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def job(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_secrets", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "token").write_text("right")
    (tmp_path / "namespace").write_text("shop")
    (tmp_path / "ca.crt").write_text(Path(certifi.where()).read_text())
    monkeypatch.setattr(module, "TOKEN", tmp_path)
    monkeypatch.setattr(module, "API", f"http://127.0.0.1:{server.http.server_port}")
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    return module


def whole(job: ModuleType) -> Answer:
    return 200, {"data": dict.fromkeys(job.KEYS, "eA==")}


def test_a_secret_that_is_missing_is_made_with_a_random_value_for_each_key(job: ModuleType, server: Server) -> None:
    server.answers = [MISSING, (201, {})]
    assert job.main() is None
    assert [(method, path) for method, path, _ in server.asked] == [("GET", f"{PATH}/app-secrets"), ("POST", PATH)]
    values = server.asked[1][2]["stringData"]
    assert values.pop("keda_redis_address") == "redis.shop.svc:6379"
    assert values.keys() == set(job.KEYS)
    assert len(set(values.values())) == len(values)
    assert min(map(len, values.values())) >= 50


def test_a_secret_that_is_there_is_left_alone(job: ModuleType, server: Server) -> None:
    server.answers = [whole(job)]
    assert job.main() is None
    assert [method for method, *_ in server.asked] == ["GET"]


def test_the_keys_that_somebodys_own_secret_lacks_are_named(job: ModuleType, server: Server) -> None:
    status, found = whole(job)
    del found["data"]["api_token"], found["data"]["keda_redis_password"]
    server.answers = [(status, found)]
    assert (
        job.main() == "the Secret app-secrets is there and lacks api_token, keda_redis_password: add them, or delete it"
    )


def test_a_secret_that_another_makes_in_the_same_moment_wins(job: ModuleType, server: Server) -> None:
    server.answers = [MISSING, (409, {"message": "already exists"}), whole(job)]
    assert job.main() is None


def test_a_refusal_is_told_in_the_api_servers_words(job: ModuleType, server: Server) -> None:
    server.answers = [(403, {"message": "secrets is forbidden"})]
    assert job.main() == "the API server answers 403: secrets is forbidden"


def test_a_refusal_leaves_no_connection_open(job: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = []
    ask = job.urllib.request.urlopen

    def watched(*args: Any, **rest: Any) -> Any:
        try:
            return ask(*args, **rest)
        except HTTPError as error:
            refusals.append(error)
            raise

    monkeypatch.setattr(job.urllib.request, "urlopen", watched)
    server.answers = [(403, {"message": "secrets is forbidden"})]
    job.main()
    assert [error.closed for error in refusals] == [True]


@pytest.mark.parametrize("status", [200, 502])
def test_what_is_no_json_is_asked_for_again_and_told_in_one_line(job: ModuleType, server: Server, status: int) -> None:
    server.answers = [(status, "<html>bad gateway"), whole(job)]
    assert job.main() is None
    server.answers = [(status, "<html>bad gateway")]
    assert str(job.main(within=0.1)).startswith("the API server does not answer: ")


def test_an_api_server_that_does_not_answer_is_told_in_one_line(
    job: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = job.urllib.request.urlopen
    monkeypatch.setattr(job.urllib.request, "urlopen", lambda *args, **rest: ask(*args, **rest | {"timeout": 0.2}))
    server.answers = [(0, "")]
    assert "timed out" in str(job.main(within=0.1))
    monkeypatch.setattr(job, "API", "http://127.0.0.1:9")
    assert "refused" in str(job.main(within=0.1))
