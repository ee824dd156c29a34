"""A project whose first engine of templates is Jinja2: its pages, the stack's beside them, the admin, error pages."""

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests

from tests.roles.conftest import PROJECT, Role, free_port

# Jinja2 is none of the stack's packages: where .venv lacks it, that of `make .venv-scan/.installed` is the project's.
PACKAGES = ("jinja2", "markupsafe")
SCAN = next(iter(sorted((PROJECT / ".venv-scan/lib").glob("python3*/site-packages"))), Path("nowhere"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("jinja2") or (SCAN / "jinja2").is_dir()), reason="needs Jinja2: make .venv-scan/.installed"
    ),
]


@pytest.fixture
def run_web(run_role: Callable[..., Role], tmp_path: Path) -> Callable[..., str]:
    """Start the web role of the project; returns its address."""

    def run(**variables: str) -> str:
        folder = tmp_path / "packages"
        folder.mkdir()
        for name in PACKAGES if find_spec("jinja2") is None else ():
            (folder / name).symlink_to(SCAN / name)
        place, port = f"{PROJECT / 'tests/roles/modules'}:{folder}", free_port()
        role = run_role(
            *("web",),
            WEB_BIND=f"127.0.0.1:{port}",
            WEB_WORKERS="1",
            DJANGO_SETTINGS_MODULE="jinjashop.settings",
            PYTHONPATH=place,
            **variables,
        )
        migrate = [sys.executable, "manage.py", "migrate", "--noinput", "-v", "0"]
        subprocess.check_call(migrate, cwd=PROJECT / "app", env=role.env | {"SERVICE_ROLE": "migrate"})
        role.wait_ready()
        return f"http://127.0.0.1:{port}"

    return run


def get(url: str) -> tuple[int, str]:
    answer = requests.get(url, timeout=20)
    return answer.status_code, answer.text


@pytest.mark.parametrize("variables", [{}, {"ONLY_JINJA": "1"}], ids=["with the admin's engine", "with Jinja2 alone"])
def test_a_project_of_jinja2_has_its_pages_and_the_stack_its_own(
    variables: dict[str, str], run_web: Callable[..., str]
) -> None:
    base = run_web(**variables)

    status, text = get(f"{base}/")
    assert (status, "<li>2 &lt;b&gt;salt&lt;/b&gt;</li>" in text, "csrfmiddlewaretoken" in text) == (200, True, True), (
        text
    )
    assert get(f"{base}/nowhere") == (404, "<h1>NO SUCH PAGE HERE (404)</h1>")
    assert get(f"{base}/broken") == (500, "<h1>OUR FAULT (500)</h1>")

    status, text = get(f"{base}/stack/")
    assert (status, 'data-testid="task-select"' in text) == (200, True), text
    for script in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
        assert get(base + script)[0] == 200, script
    assert get(f"{base}/stack/api/docs")[0] == get(f"{base}/stack/api/tasks")[0] == 200
    assert '"code": "not_found"' in get(f"{base}/stack/api/nowhere")[1]


def test_the_admin_of_a_project_of_jinja2_signs_in_and_has_its_css(run_web: Callable[..., str]) -> None:
    base = run_web()
    status, text = get(f"{base}/admin/login/")
    assert (status, 'name="username"' in text) == (200, True), text
    (css,) = re.findall(r'href="([^"]+/base\.css)"', text)
    assert get(base + css)[0] == 200
    # Django's own, of an engine that is neither's.
    assert requests.post(f"{base}/admin/login/", data={"username": "a"}, timeout=20).status_code == 403
