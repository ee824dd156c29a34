"""The roles of a project that was started by `django-admin startproject`, as real processes, with nothing edited."""

import json
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.roles.conftest import Role, free_port
from tests.waiting import wait_until

TASKS = """
import os
from celery import shared_task

@shared_task(api=True)
def where():
    from django.conf import settings
    return [os.getcwd(), settings.ROOT_URLCONF, settings.SHOP_COLOUR]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "a-shop"
    folder.mkdir()
    call_command("startproject", "shop", str(folder))
    with (folder / "shop/settings.py").open("a") as file:
        file.write("\nINSTALLED_APPS += ['shop']\nimport os\nSHOP_COLOUR = os.environ['SHOP_COLOUR']\n")
    (folder / "shop/tasks.py").write_text(TASKS)
    # Files that are called as those of the stack are the project's own matter.
    for name in ("service.py", "gunicorn.conf.py", "flowerconfig.py"):
        (folder / name).write_text("raise SystemExit('of the project')\n")
    return folder


def test_web_and_worker_of_a_started_project_run_in_its_folder(run_role: Callable[..., Role], shop: Path) -> None:
    port = free_port()
    variables = {"PROJECT_DIR": str(shop), "SHOP_COLOUR": "red", "DATABASE_URL": "sqlite://:memory:"}
    run_role("worker", **variables)
    web = run_role("web", WEB_BIND=f"127.0.0.1:{port}", WEB_WORKERS="1", **variables).wait_ready()

    def call(path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=35) as answer:
            return answer.read().decode()

    assert "Django administration" in call("/admin/login/")
    assert json.loads(call("/stack/version"))["name"] == "django-celery-stack"
    sent = json.loads(call("/stack/api/tasks/shop.tasks.where", {}))

    def done() -> Any:
        state = json.loads(call(f"/stack/api/tasks/{sent['id']}?wait=5"))
        assert state["ready"], state
        return state

    assert wait_until(done, 40)["result"] == [os.path.realpath(shop), "stack.root_urls", "red"]
    log = web.log.read_text()
    assert "DEBUG = True of shop.settings is not used: set DEBUG=true in .env" in log
