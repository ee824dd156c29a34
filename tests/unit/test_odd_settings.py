"""Settings of Celery that real projects have: each works, or is refused or set aside by name, with the fix."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, current_app
from ninja.errors import HttpError

from stack.celery import configure
from stack.celery_layers import laid
from stack.http.room import refuse_when_full
from stack.layers import lay
from stack.log_files import usable
from stack.runtime.project import Project
from stack.safety import check_configuration, eager

ENV = {"SERVICE_ROLE": "worker", "REDIS_PASSWORD": "unused"}
APP = Path(__file__).parents[2] / "app"


def app_of(namespace: str, **values: Any) -> Celery:
    """An app with these settings, under Celery's small names, from Django's settings or a module without a prefix."""
    app = Celery("shop", set_as_current=False)
    if namespace:
        values = {f"{namespace}_{name.upper()}": value for name, value in values.items()}
    app.config_from_object(SimpleNamespace(**values), namespace=namespace or None)
    return configure(app, ENV)


def advice(app: Celery) -> list[str]:
    return [each.advice for each in laid(app, ENV, "shop.settings").values() if each.advice]


def refusals(app: Celery) -> list[str]:
    return check_configuration(app.conf, "worker", ENV)


@pytest.mark.parametrize("namespace", ["CELERY", "WORK", ""])
@pytest.mark.parametrize(
    "values",
    [
        {"task_ignore_result": True},
        {"task_create_missing_queues": False},
        {
            "task_default_exchange": "shop",
            "task_default_exchange_type": "topic",
            "task_default_routing_key": "shop.all",
        },
        {"task_default_queue": "shop"},
        {"worker_hijack_root_logger": True},
        {"task_store_eager_result": True},
        {"task_always_eager": True},
    ],
    ids=",".join,
)
def test_what_costs_no_promise_is_the_projects(namespace: str, values: dict[str, Any]) -> None:
    app = app_of(namespace, **values)
    assert {name: app.conf[name] for name in values} == values
    found = laid(app, ENV, "shop.settings")
    for name in values:
        value = found[f"{namespace}_{name}".strip("_").upper()]
        assert (value.group, value.source) == ("project", "shop.settings")
    assert advice(app) == refusals(app) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"broker_url": "amqp://guest:guest@rabbit//"},
            "BROKER_URL of the project is not used, the stack decides: the broker is Redis, at REDIS_URL. What waits "
            "in amqp stays there: let it run empty first.",
        ),
        ({"broker_url": ["amqp://one", "amqp://two"]}, "What waits in amqp stays there: let it run empty first."),
        (
            {"broker_url": ["redis://other/0"]},
            "BROKER_URL of the project is not used, the stack decides: set REDIS_URL.",
        ),
        ({"broker_url": "redis://other/0"}, "BROKER_URL of the project is not used, the stack decides: set REDIS_URL."),
        ({"broker_transport_options": {"global_keyprefix": "s"}}, "(global_keyprefix) of the project is not used"),
        ({"result_backend": "rediss://other/0"}, "RESULT_BACKEND of the project is not used"),
        ({"task_acks_late": False}, "TASK_ACKS_LATE of the project is not used, the stack decides: take it out."),
    ],
)
@pytest.mark.parametrize("namespace", ["CELERY", "WORK", ""])
def test_what_is_set_aside_is_named_as_the_project_calls_it(namespace: str, values: dict[str, Any], said: str) -> None:
    app = app_of(namespace, **values)
    (text,) = advice(app)
    assert said in text
    assert text.startswith(f"{namespace}_{next(iter(values))}".strip("_").upper())
    assert refusals(app) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"task_serializer": "pickle"}, "task_serializer='pickle' runs foreign code where it is read: make it 'json'."),
        ({"accept_content": ["json", "pickle"]}, "accept_content runs foreign code, of anyone who can write to Redis"),
        ({"result_serializer": "yaml"}, "result_serializer='yaml' makes what no role here accepts"),
        ({"task_routes": {"shop.*": "unacked"}}, "{task_routes} names the queue 'unacked', which"),
        ({"task_default_queue": "unacked"}, "{task_default_queue} names the queue 'unacked', which"),
        ({"beat_schedule": {"a": {"options": {"queue": "unacked"}}}}, "{beat_schedule} names the queue 'unacked'"),
    ],
)
@pytest.mark.parametrize("namespace", ["CELERY", "WORK", ""])
def test_what_would_lose_tasks_or_run_foreign_code_is_refused(
    namespace: str, values: dict[str, Any], said: str
) -> None:
    name = next(iter(values))
    own = f"{namespace}_{name}".upper() if namespace else name
    assert any(text.startswith(said.format(**{name: own})) for text in refusals(app_of(namespace, **values)))


def test_no_result_backend_is_as_none_that_is_named() -> None:
    found = laid(app_of("CELERY", result_backend=None), ENV, "shop.settings")["CELERY_RESULT_BACKEND"]
    assert (found.group, found.source, found.advice) == ("stack", "stack", "")
    assert found.value.startswith("stack.broker.backend:RedisBackend+redis://")


def test_where_tasks_run_at_once_the_api_says_why_it_sends_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(current_app.conf, "task_always_eager", True)
    assert "no worker gets one" in eager(current_app.conf)[0]
    with pytest.raises(HttpError, match="CELERY_TASK_ALWAYS_EAGER=True in the project's settings") as raised:
        refuse_when_full([])
    assert raised.value.status_code == 409


PROJECT = {
    "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
    "shop/__init__.py": "from .celery import app as celery_app\n",
    "shop/celery.py": "from celery import Celery\napp = Celery('shop')\n"
    "app.config_from_object('shop.celeryconfig')\napp.autodiscover_tasks()\n",
    "shop/celeryconfig.py": "task_default_queue = 'letters'\ntask_acks_late = False\n",
    "shop/settings.py": "import os\nLOGGING = {'version': 1, 'disable_existing_loggers': False, 'handlers': {'file': "
    "{'class': 'logging.FileHandler', 'filename': os.environ['LOG'], 'delay': True}}, "
    "'loggers': {'shop': {'handlers': ['file'], 'level': 'INFO'}}}\n",
}


def shop(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one of the two programs with this project, made in `folder`."""
    for name, text in PROJECT.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    env = {"PATH": os.environ["PATH"], "SECRET_KEY": "k" * 50, "REDIS_PASSWORD": "unused", "RUN_DIR": str(folder)}
    env |= {"PROJECT_DIR": str(folder)} | variables
    return subprocess.run([sys.executable, *words], cwd=APP, env=env, capture_output=True, text=True, check=False)


def test_a_module_in_small_letters_is_found_and_explained_so(tmp_path: Path) -> None:
    """As `service.py settings` prints it, whichever letters are asked for; its log to a file is beside the stack's."""
    words = ["settings", "task_default_queue", "TASK_ACKS_LATE", "LOGGING", "--json"]
    done = shop(tmp_path, "service.py", *words, LOG=str(tmp_path / "shop.log"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["settings"]
    assert (found["TASK_DEFAULT_QUEUE"]["value"], found["TASK_DEFAULT_QUEUE"]["group"]) == ("letters", "project")
    assert found["TASK_ACKS_LATE"]["lost"] is False
    assert {"file", "stdout"} <= found["LOGGING"]["value"]["handlers"].keys()
    assert found["LOGGING"]["value"]["loggers"]["shop"]["handlers"] == ["file"]


def test_a_log_file_that_cannot_be_written_goes_to_standard_output(tmp_path: Path) -> None:
    kept, gone = tmp_path / "kept.log", tmp_path / "logs" / "shop.log"
    given = {
        "version": 1,
        "handlers": {
            "file": {"class": "logging.handlers.RotatingFileHandler", "filename": gone, "formatter": "own"},
            "kept": {"class": "logging.FileHandler", "filename": str(kept)},
            "console": {"class": "logging.StreamHandler"},
            "held": {"class": "logging.handlers.MemoryHandler", "capacity": 10, "target": "file"},
        },
        "formatters": {"own": {"format": "%(message)s"}},
        "loggers": {"shop": {"handlers": ["file"]}, "both": {"handlers": ["console", "file"]}, "none": {}},
        "root": {"handlers": ["file", "kept"], "level": "INFO"},
    }
    before = copy.deepcopy(given)
    project = Project(dir="/srv/app/shop", settings="shop.settings", celery="", requirements="", name="shop")

    found = lay({"LOGGING": given}, {"SECRET_KEY": "k" * 50, "RUN_DIR": "/nowhere"}, project)["LOGGING"]

    assert given == before
    assert set(found.value["handlers"]) == {"stdout", "kept", "console", "held"}
    assert found.value["handlers"]["held"]["target"] == "stdout"
    assert [found.value["loggers"][name].get("handlers") for name in ("shop", "both", "none")] == [
        *(["stdout"], ["console"], None)
    ]
    assert found.value["root"]["handlers"] == ["kept"]
    assert found.advice.startswith(f"LOGGING of shop.settings writes to {gone} ('file'), which cannot be opened here. ")
    gone.parent.mkdir()
    assert lay({"LOGGING": given}, {"SECRET_KEY": "k" * 50, "RUN_DIR": "/nowhere"}, project)["LOGGING"].advice == ""


def test_a_log_file_that_another_class_opens_is_its_own_affair(tmp_path: Path) -> None:
    """A class of the project's own may make the folder, and `ext://` names no file before logging is set up."""
    own = {"class": "shop.logs.InNewFolder", "filename": tmp_path / "a/b/shop.log"}
    looked_up = {"class": "logging.FileHandler", "filename": "ext://shop.settings.LOG_FILE"}
    lost = {"class": "shop.logs.InNewFolder", "filename": "/proc/none/shop.log"}

    found, left_out = usable({"version": 1, "handlers": {"own": own, "looked_up": looked_up, "lost": lost}})

    assert set(found["handlers"]) == {"own", "looked_up"} | ({"lost"} if os.access("/proc", os.W_OK) else set())
    assert "own" not in left_out


def test_a_role_whose_log_file_cannot_be_written_starts_and_says_so(tmp_path: Path) -> None:
    done = shop(tmp_path, "manage.py", "check", LOG="/nowhere/shop.log")
    assert done.returncode == 0, done.stderr
    assert "(stack.W106) LOGGING of shop.settings writes to /nowhere/shop.log ('file')" in done.stderr
