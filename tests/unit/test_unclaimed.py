"""A Celery app that is made where nobody looks: a warning names its file and the line that has it run."""

from pathlib import Path

import pytest

from stack.runtime.project import Project
from stack.runtime.unclaimed import unclaimed
from tests.unit.test_adopted import Copy

FACTORY = "from celery import Celery\n\ndef make():\n    return Celery('jobs')\n"
JOBS = "from shop.factory import make\n\nqueue = make()\n\n@queue.task\ndef letter():\n    pass\n"


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_an_app_of_another_file_is_named_by_each_role_and_by_the_settings(copy: Copy) -> None:
    package = copy.start()
    (package / "factory.py").write_text(FACTORY)
    (package.parent / "jobs.py").write_text(JOBS)
    says = f"{package / 'factory.py'} makes a Celery app that is not found by convention"
    line = "write PROJECT_CELERY=jobs:queue into app/project.env."

    check = copy.run("manage.py", "check")
    settings = copy.run("service.py", "settings", "DEBUG")
    start = copy.run(
        "-c", "import stack.celery, django; django.setup(); from stack.runtime.serving import verify; verify()"
    )
    for done in (check, settings, start):
        assert done.returncode == 0, done.stderr
        (said,) = [text for text in (done.stdout + done.stderr).splitlines() if says in text]
        assert line in said
    assert "(stack.W107)" in check.stderr

    named = copy.run("manage.py", "check", PROJECT_CELERY="jobs:queue")
    assert named.returncode == 0
    assert "stack.W107" not in named.stderr


def project(folder: Path, files: dict[str, str]) -> Project:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Project(dir=str(folder), settings="shop.settings", celery="", requirements="", name="shop")


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (
            {"shop/factory.py": FACTORY, "shop/jobs.py": "from . import factory as f\nqueue: object = f.make()\n"},
            "jobs:queue",
        ),
        ({"shop/factory.py": FACTORY, "shop/jobs.py": "from .factory import make as new\nlist = [new()]\n"}, ""),
        (
            {
                "shop/factory.py": FACTORY,
                "shop/__init__.py": "from .factory import make\n",
                "shop/jobs.py": "import shop\n\ndef again():\n    return shop.make()\n\n"
                "try:\n    app = again()\nfinally:\n    pass\n",
            },
            "jobs:app",
        ),
        ({"shop/jobs.py": "import celery as c\nif True:\n    app = c.Celery('x')\n"}, "jobs:app"),
        (
            {
                "shop/jobs.py": "from celery import Celery as C\n\nclass Ours(C):\n    pass\n\n"
                "class All:\n    app = Ours('x')\n"
            },
            "jobs:app",
        ),
    ],
    ids=["by a module", "no name", "by two functions", "within an if", "of a class of its own"],
)
def test_an_app_that_an_import_makes_is_found_however_it_is_made(
    files: dict[str, str], line: str, tmp_path: Path
) -> None:
    said = unclaimed(project(tmp_path, files))
    assert f"write PROJECT_CELERY={f'shop.{line}' if line else 'module:attribute'} into" in said


@pytest.mark.parametrize(
    "files",
    [
        {"shop/models.py": "from celery import shared_task\n"},
        {"shop/factory.py": FACTORY, "shop/jobs.py": "from .factory import make\n\ndef later():\n    return make()\n"},
        {"shop/factory.py": FACTORY, "shop/test_jobs.py": JOBS, "tests/conftest.py": JOBS},
        {
            "shop/factory.py": FACTORY,
            "shop/jobs.py": "from .other import make\nqueue = make()\n",
            "shop/other.py": "def make(): ...\n",
        },
        {"shop/script.py": f"{FACTORY}\nif __name__ == '__main__':\n    make().start()\n"},
        {"shop/jobs.py": "from .soups import Celery\napp = Celery('green')\n", "shop/soups.py": "class Celery: ...\n"},
    ],
    ids=["no app", "within a function", "in tests alone", "another function", "a script", "another Celery"],
)
def test_nothing_is_said_where_no_import_makes_an_app(files: dict[str, str], tmp_path: Path) -> None:
    assert unclaimed(project(tmp_path, files)) == ""
