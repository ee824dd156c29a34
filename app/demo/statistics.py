"""Statistics of a table, column by column, over any number of rows in constant memory per column."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

CHUNK = 100  # rows between two reports of progress
DISTINCT = 1000  # values of a text column that are counted one by one; more are only counted as rows


class Column:
    """Running statistics: numbers by Welford's method (Technometrics 4, 1962), text by its commonest values."""

    def __init__(self) -> None:
        self.count = self.empty = 0
        self.mean = self.squares = 0.0
        self.least, self.most = math.inf, -math.inf
        self.numeric = True
        self.values: Counter[str] = Counter()

    def add(self, text: str) -> None:
        """Take one cell in."""
        if not text.strip():
            self.empty += 1
            return
        self.count += 1
        if text in self.values or len(self.values) < DISTINCT:
            self.values[text] += 1
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.numeric = False
        if self.numeric:
            delta = number - self.mean
            self.mean += delta / self.count
            self.squares += delta * (number - self.mean)
            self.least, self.most = min(self.least, number), max(self.most, number)

    def result(self) -> dict[str, Any]:
        """JSON-ready: count, empty, and min, max, mean, stdev (sample) or the commonest values."""
        counted: dict[str, Any] = {"count": self.count, "empty": self.empty}
        if not self.count or not self.numeric or not math.isfinite(self.squares):
            # Beyond the cap nobody counted how many there are.
            distinct = {"distinct": len(self.values)} if len(self.values) < DISTINCT else {}
            return counted | distinct | {"top": self.values.most_common(5)}
        deviation = math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0
        rounded = {"min": self.least, "max": self.most, "mean": round(self.mean, 4), "stdev": round(deviation, 4)}
        return counted | rounded


def summary(rows: Iterable[dict[str, str]], total: int, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Statistics of every column of `rows`.

    Args:
        rows: one dict a row, all with the same keys.
        total: how many rows there are.
        progress: called with (rows done, rows in all) after each chunk.

    Returns:
        {"rows": n, "columns": {name: {...}}}.
    """
    columns: dict[str, Column] = {}
    done = 0
    for done, row in enumerate(rows, 1):
        for name, cell in row.items():
            columns.setdefault(name, Column()).add(cell)
        if done % CHUNK == 0:
            progress(done, total)
    if done % CHUNK:
        progress(done, total)
    return {"rows": done, "columns": {name: column.result() for name, column in columns.items()}}
