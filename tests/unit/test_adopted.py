"""A project that never heard of the stack, in a folder as app/ is: through manage.py and service.py, as processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

APP = Path(__file__).parents[2] / "app"
CELERY = """
import os
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{package}.settings")
app = Celery("{package}")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
"""
TASKS = "from celery import shared_task\n\n@shared_task\ndef count():\n    return 1\n"
# What a process of the stack knows of the project's tasks and its app.
ASK = """
import json, stack.celery, django
django.setup()
from celery import current_app
from django.conf import settings
app = stack.celery.app
app.loader.import_default_modules()
tasks = sorted(name for name in app.tasks if not name.startswith("celery."))
same = current_app._get_current_object() is app
print(json.dumps({"main": app.main, "same": same, "tasks": tasks, "eager": app.conf.task_always_eager,
    "priority": app.conf.task_default_priority, "module": settings.SETTINGS_MODULE, "of": type(app).__module__}))
"""


class Copy:
    """A folder as app/ is, with the project of a test in it."""

    def __init__(self, root: Path):
        self.app, self.run_dir = root / "app", root / "run"
        self.app.mkdir()
        (self.app / "stack").symlink_to(APP / "stack")
        for name in ("manage.py", "service.py", "gunicorn.conf.py", "project.env"):
            shutil.copy(APP / name, self.app)
        self.env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.env |= {"RUN_DIR": str(self.run_dir), "REDIS_PASSWORD": "unused", "SECRET_KEY": "s" * 20 + "kqwrtzpb" * 5}

    def start(self, folder: str = "shop", package: str = "shop") -> Path:
        """What `django-admin startproject` writes; the folder of its settings."""
        (self.app / folder).mkdir(parents=True)
        call_command("startproject", package, str(self.app / folder))
        return self.app / folder / package

    def run(self, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-W", "ignore:No directory at", *arguments]
        return subprocess.run(
            command, cwd=cwd or self.app, env=self.env | variables, capture_output=True, text=True, check=False
        )

    def json(self, *arguments: str, **variables: str) -> Any:
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def ask(self, **variables: str) -> Any:
        return self.json("-c", ASK, **variables)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_started_project_runs_as_it_is_and_says_what_it_does_not_use(copy: Copy) -> None:
    package = copy.start()
    (package / "tasks.py").write_text(TASKS)
    before = {path: path.read_bytes() for path in package.parent.rglob("*") if path.is_file()}

    found = copy.json("service.py", "settings", "--json", "DEBUG", "SECRET_KEY", "STATIC_URL")
    check = copy.run("manage.py", "check")
    own = copy.run("manage.py", "test", cwd=package.parent)

    assert found["project"]["dir"] == str(package.parent)
    assert (found["page"], found["api"]) == ("/stack/", "/stack/api/")
    assert found["settings"]["DEBUG"]["lost"] is True
    assert set(found["settings"]["SECRET_KEY"].values()) >= {"environment", "SECRET_KEY", "********"}
    assert "sss" not in json.dumps(found)
    assert "(stack.W101) DEBUG = True of shop.settings is not used: set DEBUG=true" in check.stderr
    assert "(stack.W101) SECRET_KEY of shop.settings is not used" in check.stderr
    assert "stack.E" not in check.stderr
    assert own.returncode == 0, own.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_a_project_without_an_app_of_celery_gets_one_with_its_tasks(copy: Copy) -> None:
    package = copy.start()
    add(package / "settings.py", "\nINSTALLED_APPS += ['till']\nCELERY_TASK_ALWAYS_EAGER = True\n")
    (package / "tasks.py").write_text(TASKS)
    (package.parent / "till").mkdir()
    (package.parent / "till/tasks.py").write_text(TASKS)

    seen = copy.ask()
    assert (seen["main"], seen["same"], seen["eager"]) == ("shop", True, True)
    assert {"shop.tasks.count", "till.tasks.count", "ping"} <= set(seen["tasks"])


@pytest.mark.parametrize("hard", [False, True], ids=["setdefault", "set"])
def test_the_projects_own_app_runs_by_its_own_name_and_namespace(copy: Copy, hard: bool) -> None:
    package = copy.start("my-shop", "config")
    add(package / "settings.py", "\nSHOP_QUEUE_TASK_DEFAULT_PRIORITY = 6\nINSTALLED_APPS += ['jobs']\n")
    text = CELERY.format(package="config").replace('"CELERY"', '"SHOP_QUEUE"').replace("app", "queue")
    if hard:
        text = text.replace(".setdefault(", "[").replace(', "config.settings")', "] = 'config.settings'")
        # It reads a setting at its import too, and starts Django, as some do for their scripts.
        text += "\nimport django\nfrom django.conf import settings\nif not settings.DEBUG:\n    django.setup()\n"
        (package / "celery.py").write_text(text)
    else:
        (package / "celery_app.py").write_text(text)
        (package / "__init__.py").write_text("from .celery_app import queue as celery_app\n")
    (package.parent / "jobs").mkdir()
    (package.parent / "jobs/tasks.py").write_text(TASKS)

    seen = copy.ask()
    assert (seen["main"], seen["same"], seen["priority"], seen["of"]) == ("config", True, 6, "celery.app.base")
    assert seen["module"] == "stack.settings"
    assert {"jobs.tasks.count", "ping"} <= set(seen["tasks"])


def test_an_app_is_named_in_the_one_file_where_there_are_two(copy: Copy) -> None:
    package = copy.start()
    (package / "celery.py").write_text(CELERY.format(package="shop"))
    (package / "jobs.py").write_text(CELERY.format(package="shop").replace("shop", "jobs", 2))

    done = copy.run("-c", "import stack.celery")
    assert f"2 Celery apps, in {package / 'celery.py'} and {package / 'jobs.py'}" in done.stderr
    assert "write PROJECT_CELERY=shop.celery:app into app/project.env" in done.stderr

    add(copy.app / "project.env", "PROJECT_CELERY=shop.jobs:gone\n")
    assert "shop.jobs has no Celery app of this name" in copy.run("-c", "import stack.celery").stderr
    assert copy.ask(PROJECT_CELERY="shop.celery:app")["main"] == "shop"


def test_an_error_in_the_projects_celery_py_is_told_as_it_is(copy: Copy) -> None:
    package = copy.start()
    (package / "celery.py").write_text("import gone\n")
    assert "No module named 'gone'" in copy.run("-c", "import stack.celery").stderr


def test_settings_that_need_a_variable_get_what_is_in_a_file(copy: Copy, tmp_path: Path) -> None:
    package = copy.start()
    (tmp_path / "key").write_text("of a file")
    add(
        package / "settings.py",
        "\nimport os\nSECRET_KEY = os.environ['SECRET_KEY']\nSHOP_HOST = os.environ['SHOP_HOST']\n",
    )
    code = (
        "import json, os; from django.conf import settings\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'stack.settings'\n"
        "print(json.dumps([settings.SECRET_KEY, settings.SHOP_HOST, 'SECRET_KEY' in os.environ]))"
    )
    copy.env.pop("SECRET_KEY")
    (tmp_path / ".env").write_text("SHOP_HOST=shop.example\n")
    assert copy.json("-c", code, SECRET_KEY_FILE=str(tmp_path / "key")) == ["of a file", "shop.example", False]


def test_a_package_that_has_django_read_other_settings_is_refused(copy: Copy) -> None:
    package = copy.start()
    (package / "__init__.py").write_text(
        "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings'\n"
        "from django.conf import settings\nsettings.DEBUG\n"
    )
    assert "The package shop sets DJANGO_SETTINGS_MODULE whatever" in copy.run("-c", "import stack.celery").stderr


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"wsgi.py": "import gone\n"},
            "WSGI_APPLICATION = 'shop.wsgi.application' of shop.settings cannot be imported",
        ),
        ({"wsgi.py": "application = 'wrapped'\n"}, "wrapped"),
    ],
)
def test_the_projects_own_wsgi_application_is_served(copy: Copy, files: dict[str, str], says: str) -> None:
    package = copy.start()
    for name, text in files.items():
        (package / name).write_text(text)
    done = copy.run(
        "-c", "import stack.wsgi; print(stack.wsgi.application)", DEBUG="true", PROJECT_SETTINGS="shop.settings"
    )
    assert says in done.stdout + done.stderr


def test_settings_that_are_not_there_are_named_with_the_line(copy: Copy) -> None:
    copy.start()
    done = copy.run("manage.py", "check", PROJECT_SETTINGS="shop.gone")
    assert f"There is no module shop.gone in {copy.app / 'shop'}: PROJECT_SETTINGS must name it" in done.stderr


@pytest.mark.parametrize("variable", ["TIME_ZONE", "DATABASE_URL", "PROJECT_DIR"])
def test_a_command_says_in_one_line_which_variable_is_wrong(copy: Copy, variable: str) -> None:
    copy.start()
    done = copy.run("manage.py", "check", **{variable: "nowhere/at/all"})
    assert done.returncode == 1
    assert done.stderr.startswith(f"manage.py: {variable}")
    assert done.stderr.count("\n") == 1


def test_a_database_file_is_where_every_relative_path_is(copy: Copy) -> None:
    copy.start()
    found = copy.json("service.py", "settings", "--json", "DATABASES", DATABASE_URL="sqlite:///shop.sqlite3")
    assert found["settings"]["DATABASES"]["value"]["default"]["NAME"] == str(copy.app.parent / "shop.sqlite3")


def test_a_role_says_in_one_line_that_there_is_no_project(copy: Copy) -> None:
    for arguments in (("service.py", "run", "worker"), ("manage.py", "check"), ("service.py", "settings")):
        done = copy.run(*arguments)
        assert done.returncode == 1
        assert "There is no project in" in done.stderr.splitlines()[0], done.stderr


def test_names_of_the_stacks_own_settings_are_the_projects_to_use(copy: Copy) -> None:
    package = copy.start()
    add(package / "settings.py", "\nENV = 'live'\nROLE = 'shop'\nPROJECT = 'x'\nRUN_DIR = '/y'\n")
    done = copy.run("service.py", "settings", "ENV", "ROLE", "PROJECT", "RUN_DIR")
    assert done.stdout.splitlines()[::2] == ["ENV = 'live'", "ROLE = 'shop'", "PROJECT = 'x'", "RUN_DIR = '/y'"]


def test_any_setting_is_explained_and_an_unknown_one_is_named(copy: Copy) -> None:
    copy.start()
    found = copy.run("service.py", "settings", "APPEND_SLASH", "CELERY_TASK_TIME_LIMIT").stdout.splitlines()
    assert found == [
        "APPEND_SLASH = True",
        "    django: default",
        "CELERY_TASK_TIME_LIMIT = None",
        "    celery: default",
    ]

    done = copy.run("service.py", "settings", "GONE")
    assert done.returncode == 1
    assert done.stderr == "service: no setting of the project, Django or Celery is called GONE.\n"


SECRETS = """
import os
DB_PASS = "hidden-1"
CELERY_TASK_DEFAULT_ROUTING_KEY = "mail"
FERNET_KEYS = ["hidden-2"]
BASIC_AUTH = ("user", "hidden-3")
ENVIRON = os.environ
STRIPE = {"live": f"k {os.environ['STRIPE_KEY']}"}
OPTIONS = [("API_TOKEN", "hidden-4")]
JWT = {"SIGNING": {"KEYS": {"old": "hidden-5"}}}
"""


def test_no_secret_of_the_project_is_shown(copy: Copy) -> None:
    package = copy.start()
    add(package / "settings.py", SECRETS)
    done = copy.run("service.py", "settings", STRIPE_KEY="hidden-6")
    assert done.returncode == 0, done.stderr
    assert "FERNET_KEYS = ['********']" in done.stdout
    assert "CELERY_TASK_DEFAULT_ROUTING_KEY = 'mail'" in done.stdout
    assert "STRIPE = {'live': 'k ********'}" in done.stdout
    assert "UserAttributeSimilarityValidator" in done.stdout
    assert "hidden" not in done.stdout
    assert copy.env["SECRET_KEY"] not in done.stdout


def test_a_setting_of_celery_that_is_not_used_is_named(copy: Copy) -> None:
    package = copy.start()
    (package / "celery.py").write_text(CELERY.format(package="shop"))
    add(
        package / "settings.py", "\nCELERY_BROKER_URL = 'amqp://u:secret@elsewhere'\nCELERY_TASK_TRACK_STARTED = True\n"
    )
    found = copy.json("service.py", "settings", "--json", "CELERY_BROKER_URL", "CELERY_TASK_TRACK_STARTED")
    url = found["settings"]["CELERY_BROKER_URL"]
    assert (url["group"], url["lost"]) == ("stack", "amqp://u:********@elsewhere")
    said = "CELERY_BROKER_URL of the project is not used, the stack decides: the broker is Redis, at REDIS_URL."
    assert url["advice"].startswith(said)
    assert found["settings"]["CELERY_TASK_TRACK_STARTED"]["source"] == "shop.settings"
    assert "(stack.W102) CELERY_BROKER_URL of the project is not used" in copy.run("manage.py", "check").stderr
