"""Uploads of the demo, and the reports on them."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import File, Router, Schema
from ninja.errors import HttpError
from ninja.files import UploadedFile

from demo import store

router = Router(tags=["datasets"])
MAX_CSV = 5 * 1024 * 1024


class Problem(Schema):
    error: dict[str, str]


class DatasetInfo(Schema):
    id: str
    name: str
    rows: int


class ReportInfo(Schema):
    task_id: str
    created_at: datetime
    result: dict[str, Any]


@router.post(
    "",
    response={201: DatasetInfo, 413: Problem, 415: Problem, 422: Problem, 503: Problem},
    openapi_extra={"x-max-body": MAX_CSV},  # the API takes 1 MiB of a call that says nothing
)
def upload(request: HttpRequest, file: File[UploadedFile]) -> Any:
    """Upload a CSV with a header line, 5 MiB at most; `summarize` takes the id."""
    if (file.size or 0) > MAX_CSV:
        raise HttpError(413, "A CSV may hold at most 5 MiB.")
    try:
        dataset = store.add(file.name or "", file.read())
    except ValueError as error:
        raise HttpError(422, f"file: {error}.") from None
    return 201, {"id": str(dataset.id), "name": dataset.name, "rows": dataset.rows}


@router.get("/{dataset}/reports", response={200: list[ReportInfo], 404: Problem, 503: Problem})
def list_reports(request: HttpRequest, dataset: str) -> Any:
    """The newest reports of `summarize` on a data set: an uploaded one by its id, a shipped one by its name."""
    try:
        return store.reports(store.known(dataset))
    except LookupError as error:
        raise HttpError(404, f"{error}.") from None
