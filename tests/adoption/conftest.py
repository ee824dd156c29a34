"""Of each project one stack, put in as the README says; what its people see and do is in the tests."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
import requests
from playwright.sync_api import Browser

from tests.adoption.adopted import PROJECTS, Project, adopt
from tests.e2e.browser import chromium
from tests.e2e.supervisor import CHECKOUT, Supervisor
from tests.machine import patience
from tests.waiting import wait_until

# As an operator would, in `.env`. What a killed worker held runs again after VISIBILITY_TIMEOUT, by default an hour:
# these are the least that go with such a STOP_GRACE, and with a time limit, which the shop's own settings have.
SOON = {"WORKER_CONCURRENCY": "6", "STOP_GRACE": "20", "VISIBILITY_TIMEOUT": "80"}
TUTORIAL = Project("tutorial", variables=SOON)
SHOP = Project("shop", variables=SOON | {"TASK_TIME_LIMIT": "20", "VISIBILITY_TIMEOUT": "100"})
LIVE = Project("live", variables=SOON | {"WEB_SERVER": "asgi"})


def at(project: Project, runtime: str, *marks: pytest.MarkDecorator) -> Any:
    """A project on a runtime. What has the same place has one process of pytest-xdist."""
    name = f"{project.name}-{runtime}"
    return pytest.param((project, runtime), id=name, marks=[*marks, pytest.mark.xdist_group(name)])


slow, on_an_engine = pytest.mark.slow, pytest.mark.runtime
# CI runs each project on one runtime; a verb leaves out nothing: `make test-compose` has all on compose.
PLACES = [
    at(TUTORIAL, "supervisor", slow),
    at(SHOP, "supervisor", slow),
    at(TUTORIAL, "compose", on_an_engine, slow),
    at(SHOP, "compose", on_an_engine, slow),
    at(LIVE, "compose", on_an_engine),
]
# With `--target k8s` alone.
ON_A_CLUSTER = [at(SHOP, "k8s", on_an_engine)]
# Only `make adoption` has these, beside all of PLACES.
ALONE = [at(LIVE, "supervisor")]


@dataclass
class Adopted:
    """A project on a stack that runs, and its people's calls."""

    project: Project
    stack: Any  # a target: tests/e2e/targets.py

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        if self.stack.api_token and path.startswith("/stack/"):
            options["headers"] = {"Authorization": f"Bearer {self.stack.api_token}"}
        return requests.request(method, self.stack.base_url + path, timeout=patience(30), **options)

    def at_hand(self) -> AbstractContextManager[str]:
        """The address that a browser of this machine uses; a cluster's is forwarded to it meanwhile."""
        return self.stack.at_hand() if hasattr(self.stack, "at_hand") else nullcontext(self.stack.base_url)

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

    def state(self, task: str) -> str:
        """Celery's word for where a task is, by the stack's own API."""
        return str(self.call("GET", f"/stack/api/tasks/{task}").json()["state"])

    def mains(self, role: str) -> list[int]:
        """The main process of each container of a role, as this machine sees it; under supervisord there is one."""
        if isinstance(self.stack, Supervisor):
            return [self.stack.pid(role)]
        each = self.stack.containers if hasattr(self.stack, "containers") else self.stack.pods
        return [self.stack.pid(found) for found in each(role)]

    def children(self, role: str) -> list[psutil.Process]:
        """The pool processes of a role."""
        found = [child for pid in self.mains(role) for child in psutil.Process(pid).children(recursive=True)]
        return [child for child in found if child.cmdline()]


def supervised(project: Project) -> Supervisor:
    """A copy of the checkout, with a .venv of its own where the project has packages of its own."""
    lists = PROJECTS / project.name / "requirements.txt"
    if not lists.exists():
        return Supervisor.copy()
    stack = Supervisor.copy(**(newer_python() if "Django>=6" in lists.read_text() else {}))
    (stack.root / ".venv").unlink()  # the one of the tests, into which nothing of a project's is installed
    return stack


def newer_python() -> dict[str, str]:
    """What stands behind `make up` for a project on Django 6; skips where this machine has no such Python."""
    found = subprocess.run([CHECKOUT / "deploy/newer_python.sh"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(found.stderr.strip())
    if not (shutil.which("redis-server") or shutil.which("valkey-server")):
        pytest.skip("with a Python newer than 3.12 `make up` needs a redis-server of the machine")
    return {"PYTHON": found.stdout.strip()}


def composed(project: Project) -> Any:
    from tests.e2e.compose import Compose, engine

    if reason := engine():
        pytest.skip(reason)
    return Compose()


def clustered(project: Project) -> Any:
    from tests.adoption.cluster import Cluster, unusable

    if reason := unusable():
        pytest.skip(reason)
    return Cluster(project.variables)


# The target of a runtime, with a folder `root` into which the project comes before `up`; skips where it cannot be had.
TARGETS: dict[str, Callable[[Project], Any]] = {
    "supervisor": supervised,
    "compose": composed,
    "k8s": clustered,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--target", default=None)
        only = getattr(metafunc.function, "only", None)
        # `--target` is an option of the end-to-end tests: this folder by itself has none, and is all.
        chosen = [each for each in PLACES + ON_A_CLUSTER if each.values[0][1] == wanted]
        places = chosen if wanted else PLACES + ON_A_CLUSTER + ALONE
        places = [each for each in places if only is None or {each.values[0][0].name, each.id} & set(only)]
        metafunc.parametrize("place", places, indirect=True, scope="session")


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Iterator[Adopted]:
    project, runtime = request.param
    stack = TARGETS[runtime](project)
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
