"""Data sets: upload a CSV and have its statistics made by a worker."""

import csv
import io
import statistics
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.client import Client
from tests.waiting import wait_until

WEATHER = Path(__file__).resolve().parents[2] / "app" / "demo" / "data" / "seattle-weather.csv"
MEBIBYTE = 1024 * 1024


def upload(api: Client, content: bytes, name: str = "data.csv") -> requests.Response:
    return api.call("POST", "/api/datasets", files={"file": (name, content, "text/csv")})


def uploaded(api: Client, content: bytes) -> dict[str, Any]:
    answer = upload(api, content)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def check_figures(result: dict[str, Any], text: str) -> None:
    """Compare what the product calculated with what the statistics module does."""
    rows = list(csv.DictReader(io.StringIO(text)))
    assert result["rows"] == len(rows)
    assert set(result["columns"]) == set(rows[0])
    for name in ("precipitation", "temp_max", "temp_min", "wind"):
        values = [float(row[name]) for row in rows]
        column = result["columns"][name]
        assert (column["count"], column["empty"]) == (len(values), 0)
        assert (column["min"], column["max"]) == (min(values), max(values))
        assert column["mean"] == pytest.approx(statistics.fmean(values), abs=1e-4)
        assert column["stdev"] == pytest.approx(statistics.stdev(values), abs=1e-4)
    dates = {row["date"] for row in rows}
    assert result["columns"]["date"].get("distinct") in (None, len(dates)), "a count that stopped is no count"
    weather = [row["weather"] for row in rows]
    assert result["columns"]["weather"]["distinct"] == len(set(weather))
    assert result["columns"]["weather"]["top"][0] == [
        statistics.mode(weather),
        weather.count(statistics.mode(weather)),
    ]


def test_the_shipped_data_set_is_summarized_by_its_name(api: Client) -> None:
    done = api.run("summarize", "seattle-weather", within=20)

    assert done["state"] == "SUCCESS", done
    check_figures(done["result"], WEATHER.read_text())
    assert done["result"]["rows"] == 1461


@pytest.mark.runtime
def test_an_uploaded_file_has_the_same_figures(api: Client) -> None:
    dataset = uploaded(api, WEATHER.read_bytes())
    assert (dataset["name"], dataset["rows"]) == ("data.csv", 1461)

    done = api.run("summarize", dataset["id"], within=20)

    check_figures(done["result"], WEATHER.read_text())


def test_the_reports_on_an_uploaded_file_are_kept_and_read_newest_first(api: Client) -> None:
    dataset = uploaded(api, WEATHER.read_bytes())["id"]
    assert api.get(f"/api/datasets/{dataset}/reports").json() == []

    tasks = [api.run("summarize", dataset, within=20) for _ in range(2)]

    reports = api.get(f"/api/datasets/{dataset}/reports").json()
    assert [report["task_id"] for report in reports] == [task["id"] for task in reversed(tasks)]
    assert [report["result"] for report in reports] == [task["result"] for task in tasks]
    assert reports[0]["created_at"] > reports[1]["created_at"]


def test_reports_on_a_shipped_data_set_are_found_by_its_name(api: Client) -> None:
    task = api.run("summarize", "seattle-weather", within=20)

    reports = api.get("/api/datasets/seattle-weather/reports").json()

    assert task["id"] in [report["task_id"] for report in reports]


@pytest.mark.parametrize("dataset", ["no-such", "00000000-0000-0000-0000-000000000000"])
def test_reports_on_an_unknown_data_set_are_a_404_that_names_the_known(api: Client, dataset: str) -> None:
    assert "seattle-weather" in api.error(api.get(f"/api/datasets/{dataset}/reports"), 404)


def test_a_long_summary_shows_how_far_it_is(api: Client) -> None:
    header, *days = WEATHER.read_text().splitlines()
    text = "\n".join([header, *days * 40])
    dataset = uploaded(api, text.encode())
    seen: list[dict[str, int]] = []

    task_id = api.submit("summarize", dataset["id"])

    def done() -> bool:
        state = api.state(task_id)
        if state["state"] == "PROGRESS":
            seen.append(state["progress"])
        return bool(state["ready"])

    wait_until(done, 60, every=0.02)
    assert len(seen) > 1, "PROGRESS was never seen"
    assert {progress["total"] for progress in seen} == {40 * 1461}
    currents = [progress["current"] for progress in seen]
    assert currents == sorted(currents)
    assert currents[0] < currents[-1]
    check_figures(api.state(task_id)["result"], text)


def test_quoted_commas_and_line_breaks_stay_in_their_cell(api: Client) -> None:
    content = 'name,amount\r\n"Smith, Jo",1\r\n"two\nlines",2\r\n"Smith, Jo",\r\n'.encode("utf-8-sig")

    result = api.run("summarize", uploaded(api, content)["id"])["result"]

    assert result["rows"] == 3
    assert result["columns"]["name"]["top"][0] == ["Smith, Jo", 2]
    amount = result["columns"]["amount"]
    assert (amount["count"], amount["empty"], amount["mean"]) == (2, 1, 1.5)


def test_a_column_with_nan_and_infinity_is_not_taken_for_numbers(api: Client) -> None:
    result = api.run("summarize", uploaded(api, b"a,b\n1,1\nnan,1e308\ninf,-1e308\n")["id"])["result"]

    assert "mean" not in result["columns"]["a"]
    assert result["columns"]["b"]["count"] == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "header|first line|row"),
        (b"a,b\n", "no row"),
        (b"a,a\n1,2\n", "once"),
        (b"a,b\n1,2,3\n", "line 2"),
        (b"a,b\n\xff\xfe,1\n", "UTF-8"),
        ("größe\n1\n".encode("latin-1"), "UTF-8"),
        (b"a\x00b,c\n1,2\n", "NUL"),
        (b'a,b\n"open,1\n', "line"),
    ],
    ids=["empty", "header only", "repeated name", "ragged", "not UTF-8", "latin-1", "NUL", "open quote"],
)
def test_what_is_no_csv_is_a_422_that_says_why(api: Client, content: bytes, reason: str) -> None:
    message = api.error(upload(api, content), 422)

    assert any(word in message for word in reason.split("|")), message


def test_no_file_is_a_422_and_no_multipart_a_415(api: Client) -> None:
    assert "file" in api.error(api.call("POST", "/api/datasets", files={"other": ("a.csv", b"a\n1\n")}), 422)
    assert "multipart" in api.error(api.call("POST", "/api/datasets", json={"file": "a\n1\n"}), 415)


@pytest.mark.runtime
@pytest.mark.parametrize("size", [5 * MEBIBYTE + 1, 8 * MEBIBYTE])
def test_a_file_over_five_mebibytes_is_a_413(api: Client, size: int) -> None:
    content = b"number\n" + b"1\n" * (size // 2)

    assert "5 MiB" in api.error(upload(api, content), 413)


@pytest.mark.runtime
def test_a_file_of_just_under_five_mebibytes_is_taken(api: Client) -> None:
    line = b"0123456789" * 10 + b"\n"

    dataset = uploaded(api, b"number\n" + line * ((5 * MEBIBYTE - 7) // len(line)))

    assert dataset["rows"] > 50_000


@pytest.mark.parametrize("name", ["../../etc/passwd", "<script>.csv", "a" * 500 + ".csv", "größe 😀.csv"])
def test_a_strange_file_name_is_only_a_name(api: Client, name: str) -> None:
    answer = upload(api, b"a\n1\n", name)

    assert answer.status_code == 201, answer.text
    assert "/" not in answer.json()["name"]


@pytest.mark.parametrize("dataset", ["no-such", "../../../etc/passwd", "00000000-0000-0000-0000-000000000000", ""])
def test_an_unknown_data_set_fails_and_says_which_are_known(api: Client, dataset: str) -> None:
    done = api.run("summarize", dataset)

    assert done["state"] == "FAILURE"
    assert "seattle-weather" in done["error"]["message"]


def test_an_upload_from_the_page_of_another_site_is_a_403(api: Client) -> None:
    answer = api.call(
        "POST", "/api/datasets", files={"file": ("a.csv", b"a\n1\n")}, headers={"Origin": "https://evil.example"}
    )

    api.error(answer, 403)
