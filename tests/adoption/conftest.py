"""Of each project one stack, put in as the README says; what its people see and do is in the tests."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
import requests
from playwright.sync_api import Browser

from tests.adoption.adopted import PROJECTS, Project, adopt
from tests.e2e.browser import chromium
from tests.e2e.supervisor import Supervisor
from tests.machine import patience
from tests.waiting import wait_until

TUTORIAL = Project("tutorial")
SHOP = Project("shop")
LIVE = Project("live", variables={"WEB_SERVER": "asgi"})
# CI runs each on one runtime; `make adoption` leaves out nothing.
PLACES = [
    pytest.param(
        (project, runtime),
        id=f"{project.name}-{runtime}",
        marks=[mark, pytest.mark.xdist_group(f"{project.name}-{runtime}")],
    )
    for project, runtime, mark in (
        (TUTORIAL, "supervisor", pytest.mark.slow),
        (SHOP, "supervisor", pytest.mark.slow),
        (SHOP, "compose", pytest.mark.runtime),
        (LIVE, "compose", pytest.mark.runtime),
    )
]


@dataclass
class Adopted:
    """A project on a stack that runs, and its people's calls."""

    project: Project
    stack: Any  # a target: tests/e2e/targets.py

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.stack.base_url + path, timeout=patience(30), **options)

    def nap(self, label: str, seconds: float = 0.0, **fields: str) -> str:
        """A task that the project's own view enqueues; it notes its begin and its end by its label. Returns its id."""
        answer = self.call("POST", "/api/naps/", data={"seconds": str(seconds), "label": label, **fields})
        assert answer.status_code == 201, answer.text[:2000]
        return str(answer.json()["task"])

    def runs(self, label: str) -> list[float]:
        """When something with this label ran, in Unix seconds, the first first."""
        answer = self.call("GET", "/api/runs/", params={"label": label})
        assert answer.status_code == 200, answer.text[:2000]
        return list(answer.json()["at"])

    def ran(self, label: str, times: int = 1, within: float = 40) -> None:
        """Wait until it ran so often."""
        wait_until(lambda: len(self.runs(label)) >= times, within)

    def children(self, role: str) -> list[psutil.Process]:
        """The pool processes of a role."""
        if isinstance(self.stack, Supervisor):
            pids = [self.stack.pid(role)]
        else:
            pids = [self.stack.pid(container) for container in self.stack.containers(role)]
        return [child for pid in pids for child in psutil.Process(pid).children(recursive=True) if child.cmdline()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--target", default=None)
        only = getattr(metafunc.function, "only", None)
        places = [
            each
            for each in PLACES
            if wanted in (None, each.values[0][1]) and (only is None or each.values[0][0].name in only)
        ]
        metafunc.parametrize("place", places, indirect=True, scope="session")


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Iterator[Adopted]:
    project, runtime = request.param
    if runtime == "compose":
        from tests.e2e.compose import Compose, engine

        if reason := engine():
            pytest.skip(reason)
        stack: Any = Compose()
    else:
        stack = Supervisor.copy()
        if (PROJECTS / project.name / "requirements.txt").exists():
            (stack.root / ".venv").unlink()  # the one of the tests, into which nothing of a project's is installed
    try:
        adopt(stack.root, project)
        stack.up()
        yield Adopted(project, stack)
    finally:
        stack.remove()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_ours() -> None:
    """What a developer has in the shell must not decide which project runs."""
    for name in [name for name in os.environ if name.startswith(("DJANGO_", "PROJECT_"))]:
        del os.environ[name]
