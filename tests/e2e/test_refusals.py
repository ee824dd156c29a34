"""What the API refuses: always {"error": {"code", "message"}}, with a message that says what to do."""

import json
import uuid
from typing import Any

import pytest

from tests.e2e.client import JSON, Client


@pytest.mark.parametrize(
    ("task", "body", "named"),
    [
        ("add", {"args": [1]}, "y"),
        ("add", {"args": ["one", 2]}, "x"),
        ("add", {"args": [1, 2, 3]}, "at most 2"),
        ("add", {"args": [1], "kwargs": {"x": 1, "y": 2}}, "x"),
        ("add", {"kwargs": {"x": 1, "y": 2, "z": 3}}, "z"),
        ("add", {"args": [2**53 + 1, 0]}, "x"),
        ("add", {"args": [True, 0]}, "x"),
        ("xsum", {"args": [[1, None]]}, "numbers"),
        ("sleep", {"args": [-1]}, "seconds"),
        ("flaky", {"args": [1.5]}, "failures"),
        ("send_mail", {"args": ["nobody", "s", "b"]}, "to"),
        ("send_mail", {"args": ["a@example.com", "s\nBcc: b@example.com", "b"]}, "subject"),
        ("add", {"args": [1, 2], "countdown": -1}, "countdown"),
        ("add", {"args": [1, 2], "priority": 10}, "priority"),
        ("add", {"args": [1, 2], "expires": 0}, "expires"),
        ("add", {"args": [1, 2], "eta": "tomorrow"}, "eta"),
        ("add", {"args": 5}, "args"),
        ("add", {"kwargs": []}, "kwargs"),
    ],
)
def test_a_bad_argument_is_a_422_that_names_it(api: Client, task: str, body: dict[str, Any], named: str) -> None:
    assert named in api.error(api.post(task, body), 422)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"args":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"args": [' + b"1" * 5_000 + b", 2]}", 400),
        (b"null", 422),
        (b"[]", 422),
        (b'{"args": [NaN, 1]}', 422),
        (b'{"args": [1e999, 1]}', 422),
        (b'{"args": [1, 2], "countdown": NaN}', 422),
        (b'{"args": [1, 2], "eta": "9999-12-31T23:59:59Z"}', 422),
        (b'{"args": [1, 2], "eta": 1e30}', 422),
    ],
    ids=range(13),
)
def test_a_body_that_makes_no_sense_is_refused(api: Client, body: bytes, status: int) -> None:
    api.error(api.call("POST", "/api/tasks/add", data=body, headers=JSON), status)


@pytest.mark.parametrize("depth", [50, 300, 900, 980, 2_000])
def test_deeply_nested_json_never_breaks_the_server(api: Client, depth: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth

    answer = api.call("POST", "/api/tasks/fail", data=f'{{"kwargs": {{"message": {nested}}}}}', headers=JSON)

    assert answer.status_code in (400, 422), answer.text[:300]
    api.error(answer, answer.status_code)


@pytest.mark.parametrize("text", [r"\ud800", r"\u0000", "\\u0007 \u202e \U0001f600"])
def test_any_text_is_carried_or_refused_and_never_a_500(api: Client, text: str) -> None:
    body = f'{{"args": ["{text}"]}}'.encode()

    answer = api.call("POST", "/api/tasks/fail", data=body, headers=JSON | {"Idempotency-Key": str(uuid.uuid4())})

    assert answer.status_code in (202, 422), answer.text
    if answer.status_code == 202:
        assert api.done(answer.json()["id"])["error"]["message"] == json.loads(f'"{text}"')


def test_an_unknown_task_is_a_404_that_says_where_the_known_ones_are(api: Client) -> None:
    message = api.error(api.post("no_such_task", {}), 404)

    assert "no_such_task" in message
    assert "/api/tasks" in message


def test_a_task_that_is_not_offered_cannot_be_run(api: Client) -> None:
    api.error(api.post("celery.backend_cleanup", {}), 404)


@pytest.mark.parametrize(
    "task_id", ["9b2f6c1e-0d4a-4f3b-8c55-6a1d2e7f9b30", "x", "..%2f..", "%00", "%F0%9F%98%80", "a" * 3000]
)
def test_an_unknown_id_is_a_404(api: Client, task_id: str) -> None:
    api.error(api.get(f"/api/tasks/{task_id}"), 404)
    api.error(api.call("DELETE", f"/api/tasks/{task_id}"), 404)


@pytest.mark.parametrize("wait", ["31", "-1", "nan", "soon"])
def test_a_wait_beyond_its_limits_is_a_422(api: Client, wait: str) -> None:
    task_id = api.submit("add", 1, 1)

    assert "wait" in api.error(api.get(f"/api/tasks/{task_id}", params={"wait": wait}), 422)


@pytest.mark.runtime
def test_a_body_over_one_mebibyte_is_a_413(api: Client) -> None:
    fits = json.dumps({"args": [[1] * 90_000]})
    large = json.dumps({"args": [[1] * 90_000]}) + " " * 1024 * 1024

    assert api.call("POST", "/api/tasks/xsum", data=fits, headers=JSON).status_code == 202
    assert "1 MiB" in api.error(api.call("POST", "/api/tasks/xsum", data=large, headers=JSON), 413)


@pytest.mark.runtime
def test_a_chunked_body_over_one_mebibyte_is_refused_too(api: Client) -> None:
    pieces = (b" " * 65_536 for _ in range(40))

    answer = api.call("POST", "/api/tasks/xsum", data=pieces, headers=JSON)

    assert answer.status_code in (400, 411, 413, 422), answer.text
    api.error(answer, answer.status_code)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_is_not_declared_as_json_is_a_415(api: Client, kind: str) -> None:
    answer = api.call("POST", "/api/tasks/add", data=b'{"args": [1, 2]}', headers={"Content-Type": kind})

    assert "application/json" in api.error(answer, 415)


@pytest.mark.runtime
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_call_from_the_page_of_another_site_is_a_403(api: Client, origin: str) -> None:
    task_id = api.submit("add", 1, 1)

    api.error(api.post("add", {"args": [1, 2]}, headers={"Origin": origin}), 403)
    api.error(api.call("DELETE", f"/api/tasks/{task_id}", headers={"Origin": origin}), 403)


@pytest.mark.runtime
def test_a_call_from_the_own_page_is_taken(api: Client) -> None:
    answer = api.post("add", {"args": [1, 2]}, headers={"Origin": api.base_url})

    assert answer.status_code == 202, answer.text


def test_an_unknown_address_and_method_have_the_shape_of_errors(api: Client) -> None:
    api.error(api.get("/api/nothing/here"), 404)
    api.error(api.call("PUT", "/api/tasks/add", json={}), 405)


@pytest.mark.runtime
def test_a_foreign_host_name_is_refused(api: Client) -> None:
    host = {"Host": "evil.example"}
    api.error(api.post("add", {"args": [1, 2]}, headers=host), 400)
    api.error(api.post("add", {"args": [1, 2]}, headers=host | {"Origin": "http://evil.example"}), 403)
