"""The main user story, as the README's "Your project" tells it: a project of one's own beside the stack."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.client import Client
from tests.e2e.supervisor import Supervisor
from tests.waiting import wait_until

TASKS = """
from celery import shared_task
from django.core.cache import cache


@shared_task(api=True)
def restock(item: str, count: int) -> int:
    \"\"\"Note a delivery.\"\"\"
    return count


@shared_task
def look() -> None:
    print("looked around")
"""
SETTINGS = """
INSTALLED_APPS += ["shop"]
CELERY_BEAT_SCHEDULE = {"look": {"task": "shop.tasks.look", "schedule": 2.0}}
"""


def told(copy: Supervisor, shop: Path) -> str:
    """Run the commands of the README's section, `shop` being the reader's project; returns what the last printed."""
    section = (copy.root / "README.md").read_text().split("\n## Your project\n")[1].split("\n## ")[0]
    (commands,) = re.findall(r"^```\n(.+?)^```$", section, flags=re.M | re.S)
    done = copy.run(["sh", "-ec", commands.replace("../shop", str(shop))])
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def copy(request: pytest.FixtureRequest) -> Iterator[Supervisor]:
    if request.config.getoption("--target") != "supervisor":
        pytest.skip("makes a stack of its own with `make up`")
    target = Supervisor.copy()
    yield target
    target.remove()


@pytest.mark.slow
@pytest.mark.xdist_group("story")  # with a stack of its own
def test_a_project_of_ones_own_runs_by_what_the_readme_says(copy: Supervisor, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    subprocess.run([sys.executable, "-m", "django", "startproject", "shop", str(shop)], check=True)
    (shop / "shop" / "tasks.py").write_text(TASKS)
    with (shop / "shop" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)

    said = told(copy, shop)

    assert "ping() = pong" in said
    assert f"{copy.base_url}/stack/" in said
    api = Client(f"{copy.base_url}/stack")
    done = api.run("shop.tasks.restock", kwargs={"item": "coffee", "count": 12})
    assert (done["state"], done["result"]) == ("SUCCESS", 12)
    assert "count" in api.error(api.post("shop.tasks.restock", {"args": ["coffee", "many"]}), 422)
    assert {info["name"] for info in api.get("/api/tasks").json()} == {"ping", "shop.tasks.restock"}
    wait_until(lambda: copy.logs("worker").count("looked around") > 2, 30)
    copy.make("down")

    # What stays of the tests knows nothing of the demo.
    copy.run(["rm", "-r", "app/demo"])
    rings = ("tests/bundle/test_agreement.py", "tests/bundle/test_environment.py", "tests/roles", "tests/e2e")
    tests = copy.run([".venv/bin/python", "-m", "pytest", "-q", *rings])
    assert tests.returncode == 0, tests.stdout[-3000:] + tests.stderr
