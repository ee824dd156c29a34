"""What the web role answers before any view, by Django's own client."""

import pytest
from django.test import Client, override_settings


def test_a_probe_is_answered_whatever_the_host_names_are() -> None:
    with override_settings(ALLOWED_HOSTS=["shop.example.com"]):
        assert Client(headers={"host": "localhost"}).get("/livez").status_code == 200
        assert Client(headers={"host": "localhost"}).get("/version").status_code == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "http://[", "null"])
def test_a_foreign_or_broken_origin_is_refused(origin: str) -> None:
    answer = Client(headers={"host": "localhost", "origin": origin}).post("/api/tasks/add", {}, "application/json")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "foreign_origin"
