"""Celery as the Django project has it: found, set up before anything else, and configured by the environment."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

APP = Path(__file__).parents[2] / "app"
SECRETS = {"SECRET_KEY": "u" * 50, "REDIS_PASSWORD": "unused"}


def python(code: str, **variables: str) -> Any:
    """What `code`, run by a Python in the project's folder, prints as JSON."""
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-W", "error", "-W", "ignore:No directory at", "-c", f"import json\n{code}"]
    return json.loads(subprocess.check_output(command, cwd=APP, env=env | SECRETS | variables, text=True))


def test_celery_is_wired_into_the_django_project() -> None:
    seen = python(
        "import os; from stack.celery import app; from celery import current_app, shared_task\n"
        "before = os.environ['DJANGO_SETTINGS_MODULE']\n"
        "app.loader.import_default_modules()\n"
        "print(json.dumps([before, current_app._get_current_object() is app, sorted(app.tasks)]))"
    )

    assert seen[:2] == ["stack.settings", True]
    # Found in the tasks.py of an app of INSTALLED_APPS, and in a module that the settings name.
    assert ({"add", "mul", "xsum", "ping"} if (APP / "demo").is_dir() else {"ping"}) <= set(seen[2])


CONF = (
    "from stack.celery import app\n"
    "names = 'task_serializer result_serializer accept_content result_expires timezone imports broker_url'\n"
    "found = {name: app.conf[name] for name in names.split()}\n"
    "print(json.dumps(found | {'result_backend': type(app.backend).__mro__[1].__name__}))"
)


@pytest.mark.parametrize(
    ("variables", "changed"),
    [
        ({}, {"result_expires": 86400, "timezone": "UTC"}),
        (
            {"TIME_ZONE": "Asia/Shanghai", "RESULT_EXPIRES": "7200"},
            {"result_expires": 7200, "timezone": "Asia/Shanghai"},
        ),
    ],
)
def test_redis_is_broker_and_result_store_with_json_expiry_and_time_zone(
    variables: dict[str, str], changed: dict[str, Any]
) -> None:
    conf = python(CONF, REDIS_URL="redis://cache:6379/1", **variables)

    assert conf["broker_url"] == "redis://web:unused@cache:6379/1"
    assert conf["result_backend"] == "RedisBackend"
    assert conf["task_serializer"] == conf["result_serializer"] == "json"
    assert conf["accept_content"] == ["json"]
    assert conf | changed == conf


def test_the_mail_servers_password_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mail_password"
    file.write_text("hidden\n")
    code = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'stack.settings'\n"
        "from django.conf import settings as s\n"
        "print(json.dumps([s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_HOST_USER, s.EMAIL_HOST_PASSWORD, s.EMAIL_USE_TLS]))"
    )

    seen = python(code, EMAIL_URL="smtp+tls://shop@mail.example.com:587", EMAIL_PASSWORD_FILE=str(file))

    assert seen == ["mail.example.com", 587, "shop", "hidden", True]


@pytest.mark.parametrize(
    ("role", "url", "seconds"), [("web", "", 1), ("worker", "", 2), ("web", "?connect_timeout=5", 5)]
)
def test_the_web_waits_for_a_postgresql_that_hangs_for_a_second(role: str, url: str, seconds: int) -> None:
    seen = python(
        "import stack.celery, django; django.setup()\n"
        "import psycopg.connection as module; from django.db import connection\n"
        "print(json.dumps(module.timeout_from_conninfo(connection.get_connection_params())))",
        SERVICE_ROLE=role,
        DJANGO_SETTINGS_MODULE="stack.settings",
        DATABASE_URL=f"postgres://app@localhost/app{url}",
    )
    assert seen == seconds
