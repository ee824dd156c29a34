"""What the API's document, its docs page and the page say without a token, their policies, and the line of a guess."""

import logging
import re
from collections.abc import Iterator
from io import BytesIO, StringIO
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client, RequestFactory, override_settings
from django.urls import clear_script_prefix, include, path

from stack.http.api import api
from stack.runtime import logs
from stack.runtime.guesses import Guesses
from stack.state.schemas import api_tasks

TOKEN = "a-token-of-this-test"


@pytest.fixture(autouse=True)
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(api.guard, "token", TOKEN)
    monkeypatch.setattr(api.guard, "guesses", Guesses())
    api._document.cache_clear()
    yield
    api._document.cache_clear()


def get(address: str, **headers: str) -> Any:
    return Client(headers={"host": "localhost", **headers}).get(address)


def policy(answer: Any) -> dict[str, str]:
    parts = (part.split(maxsplit=1) for part in answer["Content-Security-Policy"].split("; "))
    return dict(parts)


@pytest.mark.parametrize("address", ["/", "/api/docs"])
def test_each_page_has_a_policy_that_is_closed(address: str) -> None:
    answer = get(address)

    assert answer.status_code == 200
    given = policy(answer)
    assert given["default-src"] == "'self'"
    assert "unsafe" not in answer["Content-Security-Policy"]
    for name in ("base-uri", "form-action", "frame-ancestors", "object-src"):
        assert given[name] == "'none'", name
    # A script or a style in the page itself would be refused by that policy.
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", answer.content.decode())


def test_the_document_needs_no_token_and_tells_nothing_of_the_data() -> None:
    answer = get("/api/openapi.json")

    assert answer.status_code == 200
    document, text = answer.json(), answer.content.decode()
    assert document["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert TOKEN not in text
    for name in api_tasks():
        assert f'"{name}"' not in text
    assert TOKEN not in get("/api/docs").content.decode()


def test_an_open_api_declares_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.guard, "token", "")
    assert "security" not in get("/api/openapi.json").json()


def test_the_pages_and_the_document_follow_the_place_of_the_api() -> None:
    class Elsewhere:
        urlpatterns = (path("backend/", include("stack.urls")),)

    with override_settings(ROOT_URLCONF=Elsewhere):
        assert {each.startswith("/backend/api/") for each in get("/backend/api/openapi.json").json()["paths"]} == {True}
        text = get("/backend/").content.decode()
    assert 'data-api="/backend/api/"' in text
    assert 'data-version="/backend/version"' in text
    assert 'data-readyz="/readyz"' in text
    assert not re.search(r'"/api/|"/version', text)


def test_a_script_name_is_part_of_every_address_that_the_page_names() -> None:
    with override_settings(FORCE_SCRIPT_NAME="/app"):
        request = RequestFactory(headers={"host": "localhost"}).get("/")
        try:
            answer = b"".join(WSGIHandler()(request.environ, lambda *_: None)).decode()
        finally:
            clear_script_prefix()
    for address in ("/app/api/", "/app/version", "/app/readyz"):
        assert f'="{address}"' in answer


def test_no_page_reads_a_body_that_it_does_not_want() -> None:
    for address in ("/", "/version"):
        request = RequestFactory(headers={"host": "localhost", "cookie": "csrftoken=" + "c" * 32})
        environ = request.post(address, b"x" * 1000, "application/x-www-form-urlencoded").environ
        body, answers = BytesIO(b"x" * 1000), []
        WSGIHandler()(environ | {"wsgi.input": body}, lambda status, _, seen=answers: seen.append(status))
        assert (answers, body.tell()) == (["405 Method Not Allowed"], 0)


# As docs for a ban tool have it; fail2ban writes <ADDR> for the group.
LINES = {
    "json": r'"ip": "(?P<ip>[0-9a-f.:]+)".*"event": "wrong API token"',
    "console": r"\] wrong API token +\[stack\.http\.guard\] .*\bip=(?P<ip>[0-9a-f.:]+)",
}


@pytest.mark.parametrize("style", LINES)
def test_a_wrong_token_is_one_line_a_second_for_a_ban_tool(style: str) -> None:
    form = dict(logs.logging_config("ERROR", style)["formatters"]["line"])
    seen, logger = StringIO(), logging.getLogger("stack.http.guard")
    handler = logging.StreamHandler(seen)
    handler.setFormatter(form.pop("()")(**form))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    try:
        for number in range(20):
            client = Client(headers={"host": "localhost", "authorization": f'Bearer wrong", "ip": "203.0.113.{number}'})
            client.get("/api/tasks", REMOTE_ADDR="192.0.2.7")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)

    lines = seen.getvalue().splitlines()
    assert 1 <= len(lines) <= 3  # 20 calls take less than two seconds
    for line in lines:
        found = re.search(LINES[style], line)
        assert found
        assert found["ip"] == "192.0.2.7"
        assert "203.0.113" not in line
