"""Data sets: the one that is shipped, and those that users upload."""

import csv
import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from demo.models import Dataset, Report

SHIPPED = {"seattle-weather": Path(__file__).parent / "data" / "seattle-weather.csv"}
MAX_COLUMNS = 200
KEEP = 20  # reports of one data set; the schedule makes one every six hours, for ever


def parse(text: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV with a header line, one after the other.

    Raises:
        ValueError: no header or no row, a column without or with a repeated name, or a row of another length.
    """
    rows = _read(text)
    header = next(rows)
    for row in rows:
        yield dict(zip(header, row, strict=True))


def count(text: str) -> int:
    """How many rows `parse` would give, in a fifth of the time: a request waits for it. Raises as that does."""
    return sum(1 for _ in _read(text)) - 1


def _read(text: str) -> Iterator[list[str]]:
    """The header, then each row."""
    lines, any_row = csv.reader(io.StringIO(text, newline=""), strict=True), False
    try:
        header = [name.strip() for name in next(lines, [])]
        if not any(header) or "" in header or len(set(header)) < len(header) or len(header) > MAX_COLUMNS:
            raise ValueError(f"the first line must name each column once, {MAX_COLUMNS} at most")
        yield header
        width = len(header)
        for row in filter(None, lines):
            if len(row) != width:
                raise ValueError(f"line {lines.line_num} has {len(row)} fields, the header has {width}")
            any_row = True
            yield row
    except csv.Error as error:
        raise ValueError(f"line {lines.line_num}: {error}") from None
    if not any_row:
        raise ValueError("there is no row after the header")


def add(name: str, content: bytes) -> Dataset:
    """Store an uploaded CSV.

    Raises:
        ValueError: it is not UTF-8 or not a CSV; the text says where.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is not UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise ValueError("the file holds NUL bytes, so it is not text")
    return Dataset.objects.create(name=name[:200] or "upload.csv", rows=count(text), content=text)


def read_rows(dataset: str) -> tuple[Iterator[dict[str, str]], int]:
    """The rows of a data set by id, or by name for a shipped one, and how many they are.

    Raises:
        LookupError: there is none.
    """
    if (name := known(dataset)) in SHIPPED:
        text = SHIPPED[name].read_text(encoding="utf-8")
        return parse(text), count(text)
    stored = Dataset.objects.get(pk=name)
    return parse(stored.content), stored.rows


def known(dataset: str) -> str:
    """The data set as reports name it: a shipped one's name, or an uploaded one's id.

    Raises:
        LookupError: there is none.
    """
    if dataset in SHIPPED:
        return dataset
    try:
        return str(Dataset.objects.only("id").get(pk=uuid.UUID(dataset)).id)
    except (ValueError, Dataset.DoesNotExist):
        raise LookupError(f"there is no data set {dataset[:200]!r}; shipped: {', '.join(SHIPPED)}") from None


def keep_report(dataset: str, task_id: str, result: dict[str, Any]) -> None:
    """Store what a task found, once however often it ran, and forget all but the newest KEEP of the data set."""
    dataset = known(dataset)
    Report.objects.update_or_create(task_id=task_id, defaults={"dataset": dataset, "result": result})
    newest = reports(dataset).values_list("pk", flat=True)
    Report.objects.filter(dataset=dataset).exclude(pk__in=list(newest)).delete()


def reports(dataset: str) -> QuerySet[Report]:
    """The reports of a data set that are kept, the newest first."""
    return Report.objects.filter(dataset=dataset).order_by("-created_at", "-pk")[:KEEP]
