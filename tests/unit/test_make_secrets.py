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
WANTED = dict.fromkeys(("secret_key", "api_token", "web_redis_password", "keda_redis_address"), "random")


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

            do_POST = do_PATCH = do_GET  # noqa: N815 (the names are http.server's)

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
    keys = tmp_path / "keys"
    keys.mkdir()
    for key, kind in WANTED.items():
        (keys / key).write_text(kind)
    (keys / "..data").mkdir()  # as kubelet lays a ConfigMap out
    (tmp_path / "token").write_text("right")
    (tmp_path / "namespace").write_text("shop")
    (tmp_path / "ca.crt").write_text(Path(certifi.where()).read_text())
    monkeypatch.setattr(module, "TOKEN", tmp_path)
    monkeypatch.setattr(module, "KEYS", keys)
    monkeypatch.setattr(module.sys, "argv", ["make_secrets.py"])
    monkeypatch.setenv("ACCOUNT", "shop-make-secrets")
    monkeypatch.setattr(module, "API", f"http://127.0.0.1:{server.http.server_port}")
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    return module


def secret(*without: str, **about: Any) -> Answer:
    """A Secret that is there, whole but for these keys."""
    metadata = {"resourceVersion": "7", **about.pop("metadata", {})}
    return 200, {"metadata": metadata, "data": dict.fromkeys(WANTED.keys() - set(without), "eA==")} | about


def give(job: ModuleType, *keys: str) -> None:
    """Say that only the owner knows these."""
    for key in keys:
        (job.KEYS / key).write_text("given\n")


def methods(server: Server) -> list[str]:
    return [method for method, *_ in server.asked]


def test_a_secret_that_is_missing_is_made_with_a_random_value_for_each_key(job: ModuleType, server: Server) -> None:
    server.answers = [MISSING, (201, {})]
    assert job.main() is None
    assert [(method, path) for method, path, _ in server.asked] == [("GET", f"{PATH}/app-secrets"), ("POST", PATH)]
    values = server.asked[1][2]["stringData"]
    assert values.pop("keda_redis_address") == "shop-redis.shop.svc:6379"
    assert values.keys() == WANTED.keys() - {"keda_redis_address"}
    assert len(set(values.values())) == len(values)
    assert min(map(len, values.values())) >= 50


def test_a_secret_that_is_there_is_left_alone(job: ModuleType, server: Server) -> None:
    server.answers = [secret()]
    assert job.main() is None
    assert methods(server) == ["GET"]


def test_a_key_that_is_missing_is_added_and_no_other_is_written(job: ModuleType, server: Server) -> None:
    server.answers = [secret("api_token"), (200, {})]
    assert job.main() is None
    ((_, _, body),) = [asked for asked in server.asked if asked[0] == "PATCH"]
    assert body["metadata"] == {"resourceVersion": "7"}
    assert body["stringData"].keys() == {"api_token"}


def test_what_another_adds_in_the_same_moment_wins(job: ModuleType, server: Server) -> None:
    server.answers = [secret("api_token"), (409, {"message": "the object has been modified"}), secret()]
    assert job.main() is None
    assert methods(server) == ["GET", "PATCH", "GET"]


def test_a_secret_that_another_makes_in_the_same_moment_wins(job: ModuleType, server: Server) -> None:
    server.answers = [MISSING, (409, {"message": "already exists"}), secret()]
    assert job.main() is None


def test_a_key_that_only_its_owner_knows_is_named_and_the_rest_is_added(job: ModuleType, server: Server) -> None:
    give(job, "web_redis_password")
    server.answers = [secret("api_token", "web_redis_password"), (200, {}), secret("web_redis_password")]
    said = job.main(within=0)
    assert server.asked[1][2]["stringData"].keys() == {"api_token"}
    assert said == (
        "the Secret app-secrets lacks web_redis_password. Only you know them: kubectl -n shop patch secret "
        """app-secrets -p '{"stringData": {"web_redis_password": "..."}}'."""
    )


def test_a_secret_that_only_its_owner_can_make_is_waited_for(job: ModuleType, server: Server) -> None:
    give(job, "web_redis_password")
    server.answers = [MISSING, MISSING, secret()]
    assert job.main() is None
    server.answers = [MISSING]
    assert "only its owner knows web_redis_password: make it" in str(job.main(within=0))
    assert set(methods(server)) == {"GET"}


OWNED = {
    "written by SealedSecret app": {
        "metadata": {"ownerReferences": [{"kind": "SealedSecret", "name": "app"}]},
    },
    "written by hashicorp-vso": {"metadata": {"labels": {"app.kubernetes.io/managed-by": "hashicorp-vso"}}},
    # With the policy Merge there is no other mark of External Secrets.
    "its reconcile.external-secrets.io/managed": {
        "metadata": {"labels": {"reconcile.external-secrets.io/managed": "true"}},
    },
    "its sealedsecrets.bitnami.com/managed": {
        "metadata": {"annotations": {"sealedsecrets.bitnami.com/managed": "true"}},
    },
    "It is immutable": {"immutable": True},
}


@pytest.mark.parametrize("owner", OWNED)
def test_a_secret_of_another_owner_is_never_written(job: ModuleType, server: Server, owner: str) -> None:
    server.answers = [secret("api_token", **OWNED[owner])]
    said = str(job.main(within=0))
    assert said.startswith("the Secret app-secrets lacks api_token. It is ")
    assert owner in said
    assert said.endswith("keep what it has. Any long random text will do for api_token.")
    server.answers = [secret(**OWNED[owner])]
    assert job.main(within=0) is None
    assert set(methods(server)) == {"GET"}


def test_where_all_is_given_nothing_is_made(job: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job.sys, "argv", ["make_secrets.py", "--given"])
    server.answers = [MISSING]
    assert "only its owner knows " in str(job.main(within=0))
    server.answers = [secret("api_token")]
    assert "lacks api_token" in str(job.main(within=0))
    assert set(methods(server)) == {"GET"}


def test_an_empty_value_is_named_and_not_changed(job: ModuleType, server: Server) -> None:
    status, found = secret()
    found["data"]["api_token"] = ""
    server.answers = [(status, found)]
    assert job.main(within=0) == "in the Secret app-secrets these are empty: api_token. Give them a value"
    assert methods(server) == ["GET"]


def test_a_kind_of_key_that_there_is_not_is_named(job: ModuleType) -> None:
    (job.KEYS / "api_token").write_text("rnadom")
    assert job.main() == "the ConfigMap secret-keys has api_token='rnadom': it must be random or given"


def test_no_message_advises_to_delete_the_secret() -> None:
    """It would lock the stack out of its database."""
    assert "delete" not in FILE.read_text().lower()


def test_a_refusal_is_told_in_the_api_servers_words(job: ModuleType, server: Server) -> None:
    server.answers = [(403, {"message": "secrets is forbidden"})]
    assert job.main(within=0) == "the API server answers 403: secrets is forbidden"


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
    job.main(within=0)
    assert {error.closed for error in refusals} == {True}


@pytest.mark.parametrize("status", [200, 502])
def test_what_is_no_json_is_asked_for_again_and_told_in_one_line(job: ModuleType, server: Server, status: int) -> None:
    server.answers = [(status, "<html>bad gateway"), secret()]
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
