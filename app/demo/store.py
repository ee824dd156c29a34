"""Data sets: the one that is shipped, and those that users upload."""

import csv
import io
import uuid
from pathlib import Path

from demo.models import Dataset

SHIPPED = {"seattle-weather": Path(__file__).parent / "data" / "seattle-weather.csv"}
MAX_COLUMNS = 200


def parse(text: str) -> list[dict[str, str]]:
    """The rows of a CSV with a header line.

    Raises:
        ValueError: no header or no row, a column without or with a repeated name, or a row of another length.
    """
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(lines, [])]
        if not any(header) or "" in header or len(set(header)) < len(header) or len(header) > MAX_COLUMNS:
            raise ValueError(f"the first line must name each column once, {MAX_COLUMNS} at most")
        rows = []
        for row in lines:
            if len(row) != len(header) and row:
                raise ValueError(f"line {lines.line_num} has {len(row)} fields, the header has {len(header)}")
            if row:
                rows.append(dict(zip(header, row, strict=True)))
    except csv.Error as error:
        raise ValueError(f"line {lines.line_num}: {error}") from None
    if not rows:
        raise ValueError("there is no row after the header")
    return rows


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
    return Dataset.objects.create(name=name[:200] or "upload.csv", rows=len(parse(text)), content=text)


def read_rows(dataset: str) -> list[dict[str, str]]:
    """The rows of a data set by id, or by name for a shipped one.

    Raises:
        LookupError: there is none.
    """
    if dataset in SHIPPED:
        return parse(SHIPPED[dataset].read_text(encoding="utf-8"))
    try:
        return parse(Dataset.objects.get(pk=uuid.UUID(dataset)).content)
    except (ValueError, Dataset.DoesNotExist):
        raise LookupError(f"there is no data set {dataset!r}; shipped: {', '.join(SHIPPED)}") from None
