"""The main user story, as the README's "Your project" tells it: a project of one's own in place of the demo."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.client import Client
from tests.e2e.supervisor import Supervisor
from tests.waiting import wait_until

MODELS = """
from django.db import models


class Stock(models.Model):
    item = models.CharField(max_length=100)
    count = models.IntegerField()
"""
TASKS = """
from celery import shared_task

from shop.models import Stock


@shared_task(api=True)
def restock(item: str, count: int) -> int:
    \"\"\"Note a delivery.\"\"\"
    Stock.objects.create(item=item, count=count)
    return Stock.objects.filter(item=item).count()
"""
SCHEDULE = """
CELERY_BEAT_SCHEDULE = {
    "restock_tea": {"task": "shop.tasks.restock", "schedule": 2.0, "args": ("tea", 1)},
}
"""


def edit(file: Path, pattern: str, replacement: str) -> None:
    """Replace what matches, which must be there exactly once."""
    text, count = re.subn(pattern, lambda _: replacement, file.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{pattern!r} is {count} times in {file}"
    file.write_text(text)


def told(copy: Supervisor, pattern: str, shop: Path | None = None) -> None:
    """Run a command as the README has it; `shop` is where the reader's project is, beside the checkout."""
    found = re.search(pattern, (copy.root / "README.md").read_text())
    assert found, f"the README does not say {pattern}"
    done = copy.run(["sh", "-c", found[1].replace("../shop", str(shop))])
    assert done.returncode == 0, f"{found[1]}\n{done.stderr}"


@pytest.fixture
def copy(request: pytest.FixtureRequest) -> Iterator[Supervisor]:
    if request.config.getoption("--target") != "supervisor":
        pytest.skip("makes a stack of its own with `make up`")
    target = Supervisor.copy()
    yield target
    target.remove()


@pytest.mark.slow
@pytest.mark.xdist_group("story")  # with a stack of its own
def test_a_project_of_ones_own_replaces_the_demo(copy: Supervisor, tmp_path: Path) -> None:
    app = copy.root / "app"
    copy.make("up")
    told(copy, r"`(mkdir \.\./shop && \.venv/bin/django-admin startproject shop \.\./shop)`", shop=tmp_path / "shop")
    (tmp_path / "shop" / "shop" / "models.py").write_text(MODELS)
    (tmp_path / "shop" / "shop" / "tasks.py").write_text(TASKS)

    told(copy, r"1\. `(make down)`")
    told(copy, r"`(cp -r \.\./shop/shop app/shop && rm -r app/demo [^`]+)`", shop=tmp_path / "shop")
    edit(app / "config" / "settings.py", r'^PROJECT_APPS = \["demo"\]$', 'PROJECT_APPS = ["shop"]')
    edit(app / "config" / "settings.py", r"^from demo\.schedules import .*$", SCHEDULE)
    edit(app / "config" / "urls.py", r"^#.*\n.*demo.*$", "")
    told(copy, r"`(\.venv/bin/python app/manage\.py makemigrations shop)`")
    # What stays of the tests knows nothing of the demo.
    rings = (
        "tests/unit",
        "tests/bundle/test_agreement.py",
        "tests/bundle/test_environment.py",
        "tests/roles",
        "tests/e2e",
    )
    done = copy.run([".venv/bin/python", "-m", "pytest", "-q", *rings])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    said = copy.make("up")

    assert "ping() = pong" in said
    api = Client(copy.base_url)
    done = api.run("shop.tasks.restock", kwargs={"item": "coffee", "count": 12})
    assert (done["state"], done["result"]) == ("SUCCESS", 1)
    assert "count" in api.error(api.post("shop.tasks.restock", {"args": ["coffee", "many"]}), 422)
    assert {info["name"] for info in api.get("/api/tasks").json()} == {"ping", "shop.tasks.restock"}

    def stock() -> int:
        return int(api.run("shop.tasks.restock", "tea", 1)["result"])

    before = stock()
    # One more by this very question; the rest is beat's.
    wait_until(lambda: stock() > before + 3, 30, every=2)
    assert api.get("/").status_code == 200
