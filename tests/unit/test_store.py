"""Rows of a CSV, counted in the request that uploads it."""

import time

import pytest

store = pytest.importorskip("demo.store", reason="the data sets are the demo's")


@pytest.mark.parametrize("text", ["a\n1\n\n2\n", 'a,b\n"x\ny",1\n"a ""b""",2\n', "a\r\n1\r\n"])
def test_as_many_rows_are_counted_as_are_read(text: str) -> None:
    assert store.count(text) == len(list(store.parse(text)))


@pytest.mark.parametrize("text", ["", "a\n", "a,a\n1,2\n", "a,b\n1\n", 'a\n"x\n'])
def test_what_cannot_be_read_cannot_be_counted(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|row"):
        store.count(text)
    with pytest.raises(ValueError, match=r"line|row"):
        list(store.parse(text))


def test_counting_makes_nothing_of_the_rows() -> None:
    text = "a\n" + "1\n" * 200_000
    spent = []
    for work in (store.count, lambda text: sum(1 for _ in store.parse(text))):
        start = time.process_time()
        assert work(text) == 200_000
        spent.append(time.process_time() - start)
    assert spent[0] < spent[1] * 0.6
