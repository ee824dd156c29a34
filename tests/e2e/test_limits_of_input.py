"""What a call may send at the edges: numbers, dates and names that not everything behind it can hold, and very much."""

import io
import json
import uuid
from typing import Any

import pytest

from tests.e2e.client import JSON, Client

ODD = ["\0", "\ud800", "a\0b", "\udfff" * 50, "\U0001f600" * 300]


def call(api: Client, method: str, path: str, text: str) -> Any:
    return api.call(method, path, data=text.encode(), headers=JSON)


def refused(api: Client, answer: Any) -> str:
    """The message of a 422, whose body is short."""
    message = api.error(answer, 422)
    assert len(answer.content) < 16_384
    return message


@pytest.mark.parametrize(
    ("path", "body", "more"),
    [
        ("/api/tasks/xsum", {"args": [["a"] * 99_000]}, "and at least 1990 more"),
        ("/api/tasks/xsum", {"args": [[2**60] * 40_000]}, "and at least 1990 more"),
        ("/api/tasks/xsum", {"args": [[1, "a"] * 8]}, "and 6 more"),
        ("/api/tasks/add", {"kwargs": {f"a{n}": 1 for n in range(60_000)}}, "and 59990 more"),
        ("/api/tasks/add", {"kwargs": {"é" * 30_000 + str(n): 1 for n in range(4)}}, "..."),
        ("/api/tasks/add", {f"a{n}": 1 for n in range(60_000)}, "and 59990 more"),
        ("/api/tasks/fail", {"args": [[["\U0001f600"] * 50] * 1000]}, "message"),
        ("/api/canvas/group", {"tasks": [{"a": 1, "b": 2}] * 1000}, "and 2990 more"),
        ("/api/canvas/group", {"tasks": [{"name": "\U0001f600" * 60}] * 1000}, "and at least 990 more"),
        ("/api/canvas/map", {"name": "add", "items": [1] * 100_000}, "and at least 990 more"),
        ("/api/canvas/starmap", {"name": "add", "items": [[1, "a"]] * 11}, "items.9"),
        ("/api/canvas/chunks", {"name": "xsum", "items": [[["a"] * 30]] * 1000}, "and at least"),
    ],
    ids=range(12),
)
def test_very_many_errors_are_told_in_a_few(api: Client, path: str, body: Any, more: str) -> None:
    assert more in refused(api, call(api, "POST", path, json.dumps(body)))


@pytest.mark.parametrize(
    "eta",
    [
        "0001-01-01T00:00:00+23:59",
        "0001-01-01T00:00:00-23:59",
        "0001-01-01T00:00:00",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59",
        -1e11,
        10**400,
        True,
        "\ud800",
        "2024-02-30T00:00:00",
    ],
)
def test_a_date_at_the_edge_is_a_422(api: Client, eta: Any) -> None:
    assert "eta" in refused(api, call(api, "POST", "/api/tasks/add", json.dumps({"args": [1, 2], "eta": eta})))


def test_a_time_that_has_passed_means_at_once(api: Client) -> None:
    for eta in ("1970-01-01T00:00:00Z", "2001-09-09T01:46:40.999999+14:00", "2024-01-01"):
        assert api.run("add", 1, 2, eta=eta)["result"] == 3


@pytest.mark.parametrize("name", ["countdown", "expires", "priority"])
@pytest.mark.parametrize("value", ["1e400", "-1e400", "NaN", "Infinity", "1" * 4_000, "true", '"5"', '"\\ud800"', "[]"])
def test_a_number_at_the_edge_is_a_422(api: Client, name: str, value: str) -> None:
    message = refused(api, call(api, "POST", "/api/tasks/add", f'{{"args": [1, 2], "{name}": {value}}}'))
    assert (value if value[-1] in "0Ny" else name) in message


@pytest.mark.parametrize("value", ["1e309", "-1e309", "NaN", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused_anywhere(api: Client, value: str) -> None:
    for path, body in (
        ("/api/tasks/ping", '{"kwargs": {"a": %s}}'),
        ("/api/canvas/map", '{"name": "ping", "items": [%s]}'),
        ("/api/tasks/summarize", '{"args": [{"a": [%s]}]}'),
    ):
        refused(api, call(api, "POST", path, body % value))


@pytest.mark.parametrize(
    "body",
    [
        {"task": "add", "args": [1, 2], "every": True},
        {"task": "add", "args": [1, 2], "every": "5"},
        {"task": "add", "args": [1, 2], "every": 1e309},
        {"task": "add", "args": [1, 2], "every": 10**300},
        {"task": "add", "args": [1, 2], "crontab": "0 0 31 2 *"},
        {"task": "add", "args": [1, 2], "crontab": "*/0 * * * *"},
        {"task": "add", "args": [1, 2], "crontab": "99999999999999999999 * * * *"},
        {"task": "add", "args": [1, 2], "crontab": "\0 * * * *"},
        {"task": "add", "args": [1, 2], "crontab": "\ud800 * * * *"},
        {"task": "add", "args": [1, 2], "crontab": "0-99999999999999 * * * *"},
        {"task": "add", "args": [1, 2], "every": 5, "options": {"expires": 1e309}},
        {"task": "add", "args": [1, 2], "every": 5, "options": {"expires": True}},
        {"task": "add", "args": [1, 2], "every": 5, "options": {"priority": True}},
        {"task": "add", "args": [1, 1e309], "every": 5},
        {"task": "\ud800", "every": 5},
    ],
    ids=range(15),
)
def test_a_schedule_that_nothing_can_hold_is_a_422(api: Client, body: dict[str, Any]) -> None:
    name = f"edge-{uuid.uuid4()}"
    try:
        refused(api, call(api, "PUT", f"/api/schedules/{name}", json.dumps(body)))
    finally:
        api.call("DELETE", f"/api/schedules/{name}")
    assert api.get("/api/schedules").status_code == 200


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_a_name_that_no_text_can_hold_is_refused_or_kept(api: Client, text: str) -> None:
    shown = json.dumps(text)
    for method, path, body in (
        ("POST", "/api/canvas/map", f'{{"name": {shown}, "items": [1]}}'),
        ("POST", "/api/canvas/group", f'{{"tasks": [{{"name": {shown}}}]}}'),
        ("POST", "/api/tasks/add", f'{{"kwargs": {{{shown}: 1, "x": 1, "y": 2}}}}'),
        ("POST", "/api/tasks/add", f'{{{shown}: 1, "args": [1, 2]}}'),
        ("PUT", "/api/schedules/edge", f'{{"task": {shown}, "every": 5}}'),
        ("PUT", "/api/schedules/edge", f'{{"task": "add", "kwargs": {{{shown}: 1}}, "every": 5}}'),
    ):
        refused(api, call(api, method, path, body))
    summarized = call(api, "POST", "/api/tasks/summarize", f'{{"args": [{shown}]}}')
    if summarized.status_code == 202:
        assert api.done(summarized.json()["id"])["state"] == "FAILURE"
    else:
        refused(api, summarized)


@pytest.mark.parametrize("name", ["%00", "%ED%A0%80", "%F0%9F%98%80", "a" * 3_000, "%FF", "..%2f..%2f"])
def test_an_address_that_nobody_has_is_a_404_or_422(api: Client, name: str) -> None:
    for method, path in (
        ("GET", f"/api/tasks/{name}"),
        ("GET", f"/api/canvas/{name}"),
        ("DELETE", f"/api/canvas/{name}"),
        ("DELETE", f"/api/schedules/{name}"),
        ("GET", f"/api/datasets/{name}/reports"),
    ):
        answer = api.call(method, path)
        assert answer.status_code in (404, 422), (method, path, answer.text[:300])
        assert len(answer.content) < 16_384
        api.error(answer, answer.status_code)


@pytest.mark.parametrize("wait", ["1e400", "-0.0001", "inf", "1" * 1000, "", "1,5", "0x1", "%00"])
def test_a_wait_at_the_edge_is_a_422(api: Client, wait: str) -> None:
    for path in (f"/api/tasks/{uuid.uuid4()}", f"/api/canvas/{uuid.uuid4()}"):
        assert "wait" in refused(api, api.get(f"{path}?wait={wait}"))


@pytest.mark.parametrize("key", ["x" * 256, "é" * 200, "\x7f", "a" * 255])
def test_an_idempotency_key_of_any_bytes_is_kept_or_refused(api: Client, key: str) -> None:
    body, sent = {"args": [1, 2]}, key.encode("latin-1", "replace")
    answers = [api.post("add", body, headers={"Idempotency-Key": sent}) for _ in range(2)]
    assert {answer.status_code for answer in answers} in ({202}, {422}, {400}), answers[0].text
    if answers[0].status_code == 202:
        assert answers[0].json()["id"] == answers[1].json()["id"]


def test_what_json_leaves_open_changes_nothing(api: Client) -> None:
    for text, result in (('{"args": [-0, 2]}', 2), ('{"args": [1, 1], "args": [2, 2]}', 4), ('{"args": [-0.0, 0]}', 0)):
        answer = call(api, "POST", "/api/tasks/add", text)
        assert answer.status_code == 202, answer.text
        assert api.done(answer.json()["id"])["result"] == result


def test_the_rows_of_five_mebibytes_are_counted(api: Client) -> None:
    content = b"a\n" + b"1\n" * 2_600_000

    answer = api.call("POST", "/api/datasets", files={"file": ("a.csv", io.BytesIO(content), "text/csv")})

    assert answer.status_code == 201, answer.text
    assert answer.json()["rows"] == 2_600_000


def test_the_body_of_a_chord_is_not_copied_without_end(api: Client) -> None:
    header, body = [{"name": "ping"}] * 1000, {"name": "send_mail", "args": ["s", "x" * 90_000]}

    answer = call(api, "POST", "/api/canvas/chord", json.dumps({"header": header, "body": body}))

    assert "MiB in all" in refused(api, answer)
