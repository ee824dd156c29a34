"""The HTTP API: the stack's routers and the project's, behind one guard, with one shape of errors."""

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from ninja.errors import HttpError, ValidationError

from stack import __version__
from stack.http import canvas_api, routers, schedules_api, tasks_api, workers_api
from stack.http.errors import CODES, OUTAGE, error, outage
from stack.http.guarded import GuardedAPI
from stack.http.json_body import BodyParser, Renderer
from stack.http.places import API
from stack.runtime.env import get
from stack.state import outages
from stack.state.problems import describe, listed

api = GuardedAPI(
    token=lambda: str(get("API_TOKEN", settings.STACK_ENV)),
    title="Django Celery Stack",
    version=__version__,
    parser=BodyParser(),
    renderer=Renderer(),
    urls_namespace=API,
)


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, problem: HttpError) -> HttpResponse:
    if isinstance(problem.__cause__, HttpError):  # what BodyParser says, which Ninja puts a text of its own over
        problem = problem.__cause__
    status = problem.status_code
    return error(status, CODES.get(status, "error"), problem.message, 5 if status == 429 else None)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, problem: ValidationError) -> HttpResponse:
    # Ninja's places begin with where it looked (body, query, path), and for a body with our own parameter's name.
    texts = (describe(item, 2 if item["loc"][0] == "body" else 1) for item in problem.errors)
    return error(422, "invalid", listed(texts).text())


@api.exception_handler(RecursionError)
def _too_deep(request: HttpRequest, problem: RecursionError) -> HttpResponse:
    return error(400, "bad_request", "The body is nested too deeply.")


for _outage in OUTAGE:
    api.add_exception_handler(_outage, outage)


@api.exception_handler(DatabaseError)
def _database_error(request: HttpRequest, problem: DatabaseError) -> HttpResponse:
    # One that takes no writes is an InternalError of Django's, as other things are.
    if outages.of(problem) is None:
        raise problem
    return outage(request, problem)


@api.exception_handler(RuntimeError)
def _celery_gave_up(request: HttpRequest, problem: RuntimeError) -> HttpResponse:
    # Celery raises a plain RuntimeError once its result backend stayed away for all its retries.
    if "Retry limit exceeded" not in str(problem):
        raise problem
    return outage(request, problem)


OWN = {
    "/tasks": tasks_api.router,
    "/schedules": schedules_api.router,
    "/canvas": canvas_api.router,
    "/workers": workers_api.workers_router,
    "/queues": workers_api.queues_router,
}
for _address, _router in (OWN | routers.load(set(OWN))).items():
    api.add_router(_address, _router)
