"""What stops the web role because others reach it, and what every start and `check --deploy` say of a weak place."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack.runtime.exposure import is_local, open_api, weaknesses
from stack.runtime.fitting import contradictions
from stack.runtime.roles import problems

PROJECT = Path(__file__).parents[2]
GOOD = {"SECRET_KEY": "0123456789" * 6, "REDIS_PASSWORD": "word", "FLOWER_PASSWORD": "flower-secret"}
TOKEN = {"API_TOKEN": "t" * 16}
OPEN = {"WEB_BIND": "0.0.0.0:17003"}
HOSTS = ["localhost", "127.0.0.1", "[::1]"]


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of the project's Python with these variables, and what it said."""
    env = {"PATH": os.environ["PATH"], "LOG_FORMAT": "json"} | GOOD | variables
    return subprocess.run(
        [sys.executable, *command], cwd=PROJECT, env=env, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("env", "refused"),
    [
        ({}, ""),
        ({"WEB_BIND": "[::1]:8000"}, ""),
        ({"WEB_BIND": "127.8.8.8:8000"}, ""),
        ({"WEB_BIND": "LOCALHOST:8000"}, ""),
        (OPEN | TOKEN, ""),
        (OPEN, "0.0.0.0 (WEB_BIND)"),
        ({"WEB_BIND": "[::]:8000"}, ":: (WEB_BIND)"),
        ({"WEB_BIND": "192.168.1.2:8000"}, "192.168.1.2 (WEB_BIND)"),
        ({"WEB_BIND": "localhost.example.com:8000"}, "localhost.example.com (WEB_BIND)"),
        # A container listens on all of its own addresses; the port on its host decides.
        (OPEN | {"WEB_ADDRESS": "127.0.0.1:8000"}, ""),
        (OPEN | {"WEB_ADDRESS": "[::1]:8000"}, ""),
        (OPEN | {"WEB_ADDRESS": "10.0.0.5:80"}, "10.0.0.5 (WEB_ADDRESS, which compose takes from WEB_BIND)"),
        (OPEN | {"WEB_ADDRESS": "8000"}, "0.0.0.0 (WEB_BIND)"),
    ],
)
def test_an_open_api_that_others_reach_is_refused(env: dict[str, str], refused: str) -> None:
    reason = open_api(env)
    assert bool(reason) is bool(refused), reason
    assert refused in (reason or "")
    # The same words, of this role alone, before anything is started.
    assert problems("web", GOOD | env) == ([reason] if reason else [])
    assert problems("worker", GOOD | env) == problems("flower", GOOD | env) == []
    # On compose, where they come first, the migrations say it too.
    assert problems("migrate", GOOD | env) == ([reason] if reason and "WEB_ADDRESS" in env else [])


@pytest.mark.parametrize(
    "command",
    [
        ("app/service.py", "run", "web"),
        (
            "-c",
            "import sys; sys.path.insert(0, 'deploy');"
            "from preflight import preflight; from stack.runtime.env import environment;"
            "preflight(environment('none'))",
        ),
        ("-c", "import sys; sys.path.insert(0, 'app'); import stack.wsgi"),
        ("app/manage.py", "check"),
    ],
    ids=["run", "make up", "gunicorn", "check"],
)
def test_every_way_to_start_says_in_the_same_words_what_to_do(command: tuple[str, ...], tmp_path: Path) -> None:
    reason = str(open_api(OPEN))
    assert "set API_TOKEN_FILE, the path of a file" in reason
    done = run(*command, **OPEN, RUN_DIR=str(tmp_path) if "deploy" not in str(command) else "")
    assert done.returncode != 0
    assert reason in done.stderr


def test_an_address_past_web_bind_is_refused() -> None:
    for words in ("--bind 0.0.0.0:8000", "--workers 3 -b0.0.0.0:8000", "--bind=[::]:80"):
        assert "WEB_BIND" in " ".join(contradictions({"GUNICORN_CMD_ARGS": words})), words
    for words in ("--forwarded-allow-ips=*", "--forwarded-allow-ips *", "--forwarder-headers=SCRIPT_NAME"):
        assert "TRUSTED_PROXIES" in " ".join(contradictions({"GUNICORN_CMD_ARGS": words})), words
    assert "worker class" in " ".join(contradictions({"GUNICORN_CMD_ARGS": "-k sync"}))
    assert contradictions({"GUNICORN_CMD_ARGS": "--statsd-host 127.0.0.1:8125"}) == []


@pytest.mark.parametrize(
    ("name", "weak", "strong"),
    [
        ("stack.W001", {"ALLOWED_HOSTS": "shop.example.com"}, {"ALLOWED_HOSTS": "localhost,[::1],shop.localhost"}),
        ("stack.W001", {"ALLOWED_HOSTS": "shop.example.com"}, {"ALLOWED_HOSTS": "shop.example.com"} | TOKEN),
        ("stack.W002", {"API_TOKEN": "t" * 15}, TOKEN),
        ("stack.W003", {"ALLOWED_HOSTS": "localhost,*"}, {"ALLOWED_HOSTS": ".example.com"}),
        ("stack.W003", {"ALLOWED_HOSTS": "*.example.com"}, {}),
        ("stack.W004", {"DEBUG": "true"} | OPEN, {"DEBUG": "true"}),
        ("stack.W004", {"DEBUG": "true", "ALLOWED_HOSTS": "shop.example.com"}, {"ALLOWED_HOSTS": "shop.example.com"}),
        (
            "stack.W005",
            {"FLOWER_READ_ONLY": "false", "FLOWER_BIND": "0.0.0.0:5555"},
            {"FLOWER_READ_ONLY": "false", "FLOWER_BIND": "127.0.0.1:5555"},
        ),
        ("stack.W005", {"FLOWER_READ_ONLY": "false", "FLOWER_BIND": "[::]:5555"}, {"FLOWER_BIND": "[::]:5555"}),
        ("stack.W006", {"FLOWER_PASSWORD": "p" * 11}, {"FLOWER_PASSWORD": "p" * 12}),
        ("stack.W007", {"TRUSTED_PROXIES": "10.0.0.1,0.0.0.0/0"}, {"TRUSTED_PROXIES": "10.0.0.0/8,fd00::/8,::1"}),
        ("stack.W007", {"TRUSTED_PROXIES": "::/0"}, {"TRUSTED_PROXIES": "no address"}),
        ("stack.W007", {"TRUSTED_PROXIES": "*"}, {"TRUSTED_PROXIES": ""}),
        ("stack.W008", {"REDIS_URL": "redis://8.8.8.8:6379/0"}, {"REDIS_URL": "rediss://8.8.8.8:6379/0"}),
        ("stack.W008", {"REDIS_URL": "redis://[2001:4860:4860::8888]/0"}, {"REDIS_URL": "redis://[fd00::1]/0"}),
        ("stack.W008", {"REDIS_URL": "redis://8.8.8.8"}, {"REDIS_URL": "redis://100.64.0.1"}),
        (
            "stack.W008",
            {"DATABASE_URL": "postgres://app@8.8.8.8/app?sslmode=prefer"},
            {"DATABASE_URL": "postgres://app@8.8.8.8/app?sslmode=verify-full"},
        ),
        ("stack.W009", {"INSECURE_COOKIES": "true"} | OPEN, {"INSECURE_COOKIES": "true"}),
        ("stack.W009", {"INSECURE_COOKIES": "true", "ALLOWED_HOSTS": "shop.lan"}, {"ALLOWED_HOSTS": "shop.lan"}),
        ("stack.W008", {"EMAIL_URL": "smtp://shop@8.8.8.8:25"}, {"EMAIL_URL": "smtp+tls://shop@8.8.8.8:587"}),
    ],
)
def test_a_weak_place_is_named_and_the_mended_one_is_not(
    name: str, weak: dict[str, str], strong: dict[str, str]
) -> None:
    found = names("web", weak)
    assert name in found
    variable = next(iter(weak))
    assert variable in found[name], "it names the variable"
    assert name not in names("web", strong)


def names(role: str, env: dict[str, str]) -> dict[str, str]:
    hosts = env.get("ALLOWED_HOSTS", ",".join(HOSTS)).split(",")
    return dict(weaknesses(role, GOOD | env, hosts, env.get("DEBUG") == "true"))


def test_nothing_is_weak_as_it_is_made() -> None:
    for role in ("web", "worker", "beat", "flower"):
        assert names(role, {}) == {}


def test_each_role_speaks_of_what_it_has() -> None:
    weak = {"REDIS_URL": "redis://8.8.8.8", "FLOWER_PASSWORD": "short", "API_TOKEN": "short"}
    assert set(names("worker", weak)) == {"stack.W008"}
    assert set(names("flower", weak)) == {"stack.W006", "stack.W008"}
    assert set(names("web", weak)) == {"stack.W002", "stack.W006", "stack.W008"}


def test_a_name_is_looked_up_by_the_check_and_never_by_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    env = GOOD | {"REDIS_URL": "redis://cache.example.com"}
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [(2, 1, 6, "", ("8.8.8.8", 0))])
    assert [name for name, _ in weaknesses("worker", env, HOSTS, False, resolve=True)] == ["stack.W008"]
    assert weaknesses("worker", env, HOSTS, False) == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1"])
def test_a_local_name_means_this_machine_only(host: str) -> None:
    assert is_local(host)
    assert not is_local(f"{host.strip('[]').rstrip('.')}.example.com")


def test_the_start_and_the_check_say_the_same_of_a_weak_place() -> None:
    weak = {"API_TOKEN": "short", "ALLOWED_HOSTS": "*", "SECRET_KEY": "django-insecure-1", "DEBUG": "true"}
    check = run("app/manage.py", "check", "--deploy", **weak, **OPEN)
    start = run("-c", "import sys; sys.path.insert(0, 'app'); import stack.wsgi", **weak, **OPEN)
    said = [json.loads(line) for line in start.stdout.splitlines()]
    warned = [line["event"] for line in said if line["level"] == "warning"]
    assert start.returncode == 0, start.stderr
    assert len(warned) == 4
    for text in warned:
        assert text in check.stderr
    for name in ("stack.W002", "stack.W003", "stack.W004", "security.W009"):
        assert f"({name})" in check.stderr


def test_flower_says_at_its_start_that_its_password_is_short(tmp_path: Path) -> None:
    code = "import sys; sys.path.insert(0, 'app'); import stack.monitoring.flower"
    for password, count in (("short", 1), ("p" * 12, 0)):
        start = run("-c", code, SERVICE_ROLE="flower", FLOWER_PASSWORD=password, RUN_DIR=str(tmp_path))
        assert start.returncode == 0, start.stderr
        assert start.stdout.count("FLOWER_PASSWORD has 5 characters and can be guessed") == count


def test_make_up_ends_with_what_weakens_the_stack() -> None:
    code = "import sys; sys.path.insert(0, 'deploy'); import os; from readiness import addresses; addresses(os.environ)"
    assert "warning" not in run("-c", code).stdout
    assert "\nwarning: API_TOKEN has 5 characters" in run("-c", code, API_TOKEN="short").stdout
