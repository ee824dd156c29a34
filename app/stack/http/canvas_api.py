"""The calls of /api/canvas: several tasks sent as one, with one progress."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Path, Query, Schema
from ninja.errors import HttpError

from stack.broker.comeback import sending
from stack.http.canvas_calls import CanvasCall, Kind, planned, size_of
from stack.http.errors import OUTAGE, outage
from stack.http.guarded import Router
from stack.http.places import address_of
from stack.http.room import refuse_when_full, room_for
from stack.http.shapes import Problem
from stack.http.waiting import until_ready
from stack.state import canvas
from stack.state.schemas import api_task

router = Router(tags=["canvas"])


class CanvasRef(Schema):
    id: str
    kind: str
    url: str


class CanvasState(Schema):
    id: str
    kind: str
    state: str
    ready: bool
    successful: bool
    completed: int
    total: int
    result: Any = None
    error: dict[str, str] | None = None
    members: list[str] = Field(
        description="The ids of the tasks. tasks/{id} knows one from when it is sent: in a chain when the one "
        "before is done, the body of a chord when its header is."
    )


@router.post("/{canvas}", response={202: CanvasRef, 422: Problem, 429: Problem, 503: Problem})
@sending()
def send(
    request: HttpRequest, response: HttpResponse, kind: Annotated[Kind, Path(alias="canvas")], call: CanvasCall
) -> Any:
    """Send a canvas; what it takes depends on its kind."""
    try:
        plan = planned(kind, call)
    except ValueError as problem:
        raise HttpError(422, str(problem)) from None
    names = {each.name for each in (call, call.body, *call.tasks, *call.header) if each and each.name}
    refuse_when_full(task for name in names if (task := api_task(name)))
    url = address_of(request, "api:canvas", canvas=plan.id)
    with room_for(size_of(kind, call, len(request.body)), len(plan.members)):
        canvas.record(plan)
        try:
            canvas.send(plan)
        except OUTAGE as problem:
            return outage(request, problem, f"Some of its tasks may have been sent: DELETE {url} revokes those.")
    response["Location"] = url
    return 202, {"id": plan.id, "kind": kind, "url": url}


@router.get("/{canvas}", url_name="canvas", response={200: CanvasState, 404: Problem, 422: Problem, 503: Problem})
def status(
    request: HttpRequest,
    canvas_id: Annotated[str, Path(alias="canvas")],
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
) -> Any:
    """Progress, result or the first error of a canvas; `wait` as for a task."""
    # One look at a large canvas reads a thousand keys.
    return until_ready(lambda: _known(canvas_id), wait, longest_pause=1)


@router.delete("/{canvas}", response={202: CanvasState, 404: Problem, 409: Problem, 503: Problem})
def revoke(request: HttpRequest, canvas_id: Annotated[str, Path(alias="canvas")]) -> Any:
    """Revoke every task of a canvas that has not started."""
    if _known(canvas_id)["ready"]:
        raise HttpError(409, "The canvas is done; there is nothing to revoke.")
    if not canvas.revoke(canvas_id):
        raise HttpError(409, "Every task of the canvas runs already; none can be revoked any more.")
    return 202, _known(canvas_id)


def _known(canvas_id: str) -> dict[str, Any]:
    state = canvas.read(canvas_id)
    if state is None:
        raise HttpError(404, f"No canvas has the id {canvas_id[:200]!r}, or its results have expired.")
    return state
