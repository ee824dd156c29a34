"""The addresses beside the tasks: the page, health, version, the OpenAPI document."""

import pytest

from tests.e2e.client import Client
from tests.waiting import wait_until


@pytest.mark.runtime
def test_livez_readyz_and_version_answer(api: Client) -> None:
    assert api.get("/livez").status_code == 200
    # Each process asks Redis and the database for the first time here, and gives them 0.9 s.
    wait_until(lambda: api.get("/readyz").status_code == 200, 10)
    version = api.get("/version").json()
    assert version["name"] == "django-celery-stack"
    assert set(version) == {"name", "version", "commit"}


def test_the_openapi_document_has_every_call_and_its_errors(api: Client) -> None:
    document = api.get("/api/openapi.json").json()

    calls = {(method.upper(), path.split("{")[0]) for path, item in document["paths"].items() for method in item}
    assert {
        ("GET", "/api/tasks"),
        ("POST", "/api/tasks/"),
        ("GET", "/api/tasks/"),
        ("DELETE", "/api/tasks/"),
        ("POST", "/api/datasets"),
    } <= calls
    submit = next(item["post"] for path, item in document["paths"].items() if path.startswith("/api/tasks/{"))
    assert {"202", "404", "422", "429", "503"} <= set(submit["responses"])
    assert document["info"]["version"] == api.get("/version").json()["version"]


def test_the_page_that_tries_the_api_needs_no_other_site(api: Client) -> None:
    page = api.get("/api/docs")

    assert page.status_code == 200
    assert "openapi.json" in page.text
    assert "https://" not in page.text.replace("https://github.com", ""), "a machine without internet could not show it"


@pytest.mark.runtime
def test_the_page_and_its_files_are_served_without_a_step(api: Client) -> None:
    page = api.get("/")

    assert page.status_code == 200
    assert "text/html" in page.headers["Content-Type"]
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for path in ("/static/stack/app.css", "/static/stack/app.js"):
        assert path in page.text
        assert api.get(path).status_code == 200
