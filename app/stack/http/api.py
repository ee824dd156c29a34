"""The HTTP API. Errors are {"error": {"code", "message"}}; an outage is a 503, never a 500."""

from typing import Any

import redis
from django.conf import settings
from django.db import InterfaceError
from django.db import OperationalError as DatabaseDown
from django.http import HttpRequest, HttpResponse
from kombu.exceptions import OperationalError
from ninja import Schema
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from stack import __version__
from stack.broker.refusals import what_redis_said
from stack.http.guarded import GuardedAPI
from stack.http.json_body import Renderer, Unfit, loads
from stack.http.middleware import CODES, error
from stack.runtime.env import get
from stack.state.problems import SHOWN, describe, listed

OUTAGE = (redis.RedisError, OperationalError, DatabaseDown, InterfaceError)


class Problem(Schema):
    error: dict[str, str]


class Body(Schema):
    """Base of what a call takes: an unknown field is refused, since a misspelt one would change nothing, silently."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_unknown(cls, sent: Any) -> Any:
        """A hundred thousand unknown fields are one error, not as many."""
        fields = getattr(sent, "_obj", sent)  # ninja's wrapper around what was sent
        if isinstance(fields, dict) and len(unknown := fields.keys() - cls.model_fields.keys()) > SHOWN:
            raise PydanticCustomError("unknown", "unknown fields: {names}", {"names": listed(sorted(unknown)).text()})
        return sent


class BodyParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        try:
            return loads(request.body)
        except Unfit as problem:
            raise HttpError(422, f"{problem}.") from None
        except (ValueError, RecursionError) as problem:
            raise HttpError(400, f"The body is not JSON: {str(problem)[:200]}") from None


api = GuardedAPI(
    token=lambda: str(get("API_TOKEN", settings.ENV)),
    title="Django Celery Stack",
    version=__version__,
    parser=BodyParser(),
    renderer=Renderer(),
    urls_namespace="api",
)


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, problem: HttpError) -> HttpResponse:
    if isinstance(problem.__cause__, HttpError):  # what BodyParser says, which Ninja puts a text of its own over
        problem = problem.__cause__
    status = problem.status_code
    code = "queue_full" if status == 429 else CODES.get(status, "error")
    return error(status, code, problem.message, 5 if status == 429 else None)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, problem: ValidationError) -> HttpResponse:
    # Ninja's places begin with where it looked (body, query, path), and for a body with our own parameter's name.
    texts = (describe(item, 2 if item["loc"][0] == "body" else 1) for item in problem.errors)
    return error(422, "invalid", listed(texts).text())


@api.exception_handler(RecursionError)
def _too_deep(request: HttpRequest, problem: RecursionError) -> HttpResponse:
    return error(400, "bad_request", "The body is nested too deeply.")


AGAIN = "Try again in 5 s, with the same Idempotency-Key if you sent one."


def outage(request: HttpRequest, problem: Exception | type[Exception], advice: str = AGAIN) -> HttpResponse:
    """503 for a backend that is down, hung or full, with what to do."""
    if said := what_redis_said(problem):
        code, message, seconds = said
        # To try again at once helps only where Redis refuses for now.
        return error(503, code, message if seconds > 5 and advice is AGAIN else f"{message} {advice}", seconds)
    what = "The database" if isinstance(problem, DatabaseDown | InterfaceError) else "Redis"
    return error(503, "backend_down", f"{what} does not answer. {advice}", 5)


for _outage in OUTAGE:
    api.add_exception_handler(_outage, outage)


@api.exception_handler(RuntimeError)
def _celery_gave_up(request: HttpRequest, problem: RuntimeError) -> HttpResponse:
    # Celery raises a plain RuntimeError once its result backend stayed away for all its retries.
    if "Retry limit exceeded" not in str(problem):
        raise problem
    return outage(request, problem)


api.add_router("/tasks", "stack.http.tasks_api.router")
api.add_router("/schedules", "stack.http.schedules_api.router")
api.add_router("/canvas", "stack.http.canvas_api.router")
api.add_router("/workers", "stack.http.workers_api.workers_router")
api.add_router("/queues", "stack.http.workers_api.queues_router")
