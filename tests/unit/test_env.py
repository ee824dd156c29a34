"""What the environment may say, and what a wrong value is told."""

from pathlib import Path

import pytest

from stack.runtime.env import BadValue, environment, get, loop_limit, redis_url
from stack.runtime.variables import VARS


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("STOP_GRACE", "soon", "from 20 to 86400"),
        ("STOP_GRACE", "3", "from 20 to 86400"),
        ("DEBUG", "maybe", "true or false"),
        ("WORKER_POOL", "forks", "prefork, threads, solo, eventlet."),
        ("WEB_BIND", "8000", "host:port"),
        ("TIME_ZONE", "Mars/Base", "Europe/Berlin"),
        ("TIME_ZONE", "../zone", "Europe/Berlin"),
        ("FLOWER_READ_ONLY", "perhaps", "true or false"),
        ("WEB_BIND", "127.0.0.1:99999", "host:port"),
        ("TASK_TRANSPORT", "safe", "stock"),
        ("WORKER_QUEUES", " , ", "one word or several"),
        ("DATABASE_URL", "foo", "postgres://user@host:5432/name"),
        ("DATABASE_URL", "foo://bar", "postgres://user@host:5432/name"),
        ("DATABASE_URL", "postgres://host:port/name", "postgres://user@host:5432/name"),
        ("DATABASE_URL", "postgres://[::1/name", "postgres://user@host:5432/name"),
        ("EMAIL_URL", "foo", "smtp+tls://user@host:587"),
        ("EMAIL_URL", "smtp://host:port", "smtp+tls://user@host:587"),
    ],
)
def test_a_wrong_value_names_the_variable_and_what_it_accepts(name: str, value: str, told: str) -> None:
    with pytest.raises(BadValue) as caught:
        get(name, {name: value})
    assert name in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", [name for name, var in VARS.items() if var.kind != "secret"])
def test_every_default_is_a_value_that_its_variable_accepts(name: str) -> None:
    get(name, {})


@pytest.mark.parametrize("name", ["DATABASE_URL", "EMAIL_URL"])
def test_a_wrong_url_is_not_repeated_because_it_may_hold_a_password(name: str) -> None:
    with pytest.raises(BadValue) as caught:
        get(name, {name: "wrong://user:hidden@host"})
    assert "hidden" not in str(caught.value)


def test_a_relative_path_counts_from_the_projects_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.runtime.env.PROJECT_DIR", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "key").write_text("a key")
    for folder in (tmp_path / "mine", Path("/")):
        monkeypatch.chdir(folder)
        assert get("SECRET_KEY", {"SECRET_KEY_FILE": "mine/key"}) == "a key"
        assert get("RUN_DIR", {"RUN_DIR": "state"}) == str(tmp_path / "state")
        assert get("RUN_DIR", {"RUN_DIR": "/state"}) == "/state"


def test_an_empty_value_counts_as_unset() -> None:
    assert get("WEB_THREADS", {"WEB_THREADS": ""}) == 8


def test_a_secret_comes_from_its_file_before_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from the file\n")
    assert get("SECRET_KEY", {"SECRET_KEY_FILE": str(file), "SECRET_KEY": "other"}) == "from the file"


def test_a_secret_that_is_missing_empty_or_unreadable_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for env in ({}, {"FLOWER_PASSWORD_FILE": str(empty)}, {"FLOWER_PASSWORD_FILE": str(tmp_path / "none")}):
        with pytest.raises(BadValue, match="FLOWER_PASSWORD"):
            get("FLOWER_PASSWORD", env | {"RUN_DIR": str(tmp_path)})


def test_a_secret_that_make_up_made_is_found_by_role(tmp_path: Path) -> None:
    folder = tmp_path / "secrets" / "worker"
    folder.mkdir(parents=True)
    (folder / "redis_password").write_text("w")
    assert get("REDIS_PASSWORD", {"RUN_DIR": str(tmp_path), "SERVICE_ROLE": "worker"}) == "w"


def test_the_env_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\nWEB_THREADS=4\nLOG_LEVEL=DEBUG\n\nnot a line\n")
    env = environment(str(file), {"LOG_LEVEL": "ERROR"})
    assert (env["WEB_THREADS"], env["LOG_LEVEL"]) == ("4", "ERROR")
    assert environment(str(tmp_path / "missing"), {"A": "b"}) == {"A": "b"}


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("", ("redis", "web", "127.0.0.1", 6390, 0)),
        ("redis://cache", ("redis", "web", "cache", 6379, 0)),
        ("rediss://default@cache:6380/3", ("rediss", "default", "cache", 6380, 3)),
        ("redis://[::1]:7000/1", ("redis", "web", "::1", 7000, 1)),
    ],
)
def test_redis_url_gives_the_role_as_user_unless_it_names_one(url: str, parts: tuple[object, ...]) -> None:
    assert redis_url("web", {"REDIS_URL": url}) == parts


@pytest.mark.parametrize("url", ["redis://:secret@cache/0", "redis://user:secret@cache/0"])
def test_a_password_in_redis_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadValue, match="REDIS_PASSWORD_FILE") as caught:
        redis_url("web", {"REDIS_URL": url})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["cache:6379", "http://cache", "redis://", "redis://cache:port/0", "redis://cache/one"])
def test_a_wrong_redis_url_says_what_it_must_look_like(url: str) -> None:
    with pytest.raises(BadValue, match="redis://host:6379/0"):
        redis_url("web", {"REDIS_URL": url})


def test_a_solo_workers_loop_may_stand_still_for_a_whole_task() -> None:
    env = {"WORKER_POOL": "solo", "TASK_TIME_LIMIT": "100"}
    assert (loop_limit("worker", env), loop_limit("beat", env), loop_limit("worker", {})) == (160, 60, 60)
