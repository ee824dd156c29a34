"""The figures and the progress of a summary over a CSV."""

import statistics

import pytest

pytest.importorskip("demo", reason="it tests app/demo")
from demo.statistics import summary
from demo.store import parse


def test_figures_agree_with_pythons_own_statistics() -> None:
    values = [(number * 7919 % 1000) / 10 for number in range(1, 501)]
    result = summary([{"v": str(value)} for value in values], 500, lambda *_: None)["columns"]["v"]
    assert result["count"] == 500
    assert result["mean"] == pytest.approx(statistics.fmean(values), abs=1e-4)
    assert result["stdev"] == pytest.approx(statistics.stdev(values), abs=1e-4)
    assert (result["min"], result["max"]) == (min(values), max(values))


def test_progress_is_reported_in_chunks_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    summary([{"v": "1"}] * 250, 250, lambda *step: seen.append(step))
    assert seen == [(100, 250), (200, 250), (250, 250)]


def test_a_column_with_text_or_infinity_is_counted_not_averaged() -> None:
    rows = [{"a": "x", "b": "1"}, {"a": "x", "b": "inf"}, {"a": "", "b": "2"}]
    columns = summary(rows, 3, lambda *_: None)["columns"]
    assert columns["a"] == {"count": 2, "empty": 1, "distinct": 1, "top": [("x", 2)]}
    assert "mean" not in columns["b"]


def test_quoted_commas_and_quotes_are_part_of_a_field() -> None:
    assert next(parse('name,city\n"Smith ""Sky"" Field","Paris, TX"\n')) == {
        "name": 'Smith "Sky" Field',
        "city": "Paris, TX",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "name each column"),
        ("a,b\n", "no row"),
        ("a,a\n1,2\n", "name each column"),
        ("a,b\n1\n", "line 2 has 1 fields"),
        ('a\n"open\n', "line"),
    ],
)
def test_what_is_no_csv_says_where(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        list(parse(text))
