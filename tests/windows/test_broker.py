"""Which Redis the development profile takes, with one that stands for the machine's own on 6379."""

import sys
from typing import Any

import pytest

from tests.roles.conftest import PASSWORD, PROJECT, Redis, free_port

# Behind what is installed: deploy/redis_server.py must not stand for the package of that name.
sys.path += [str(PROJECT / "deploy"), str(PROJECT / "deploy" / "windows")]

import broker

# The secrets are made before a Redis is looked for.
ENV = {"SECRET_KEY": "k" * 50, "REDIS_PASSWORD": "w" * 50}


@pytest.fixture
def found(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"redis://default@127.0.0.1:{redis_server.port}/9"
    monkeypatch.setattr(broker, "FOUND", url)
    return url


def test_a_redis_without_a_password_is_found_and_its_database_9_used(found: str, redis_server: Any) -> None:
    redis_server.client.config_set("requirepass", "")
    variables, words, command = broker.choose(dict(ENV))
    assert (variables, command) == ({"REDIS_URL": found}, [])
    assert f"database 9 of it, {found}" in words


def test_a_redis_with_a_password_is_not_used_and_what_to_set_is_said(found: str) -> None:
    variables, words, command = broker.choose(dict(ENV))
    assert variables == {}
    assert "it wants another password of user default" in words
    assert "REDIS_PASSWORD_FILE=" in words
    assert "An embedded one (fakeredis) serves from memory" in words
    assert command[-1].endswith("embedded.py")


def test_its_password_makes_it_usable_as_the_words_say(found: str) -> None:
    variables, words, command = broker.choose(ENV | {"REDIS_URL": found, "REDIS_PASSWORD": PASSWORD})
    assert (variables, command) == ({}, [])
    assert "as REDIS_URL says" in words


def test_without_any_redis_the_embedded_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "FOUND", f"redis://default@127.0.0.1:{free_port()}/9")
    variables, words, command = broker.choose(dict(ENV))
    assert (variables, command[-1].endswith("embedded.py")) == ({}, True)
    assert "it does not answer" in words
