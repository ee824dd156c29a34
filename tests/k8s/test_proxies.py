"""A request as an ingress controller sends it: over HTTP from a private address, with what it says of its client."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.client import Client, lines_of
from tests.e2e.k8s import Kubernetes
from tests.tls import PASSWORD, log_in
from tests.waiting import wait_until

MODULES = Path(__file__).resolve().parents[1] / "roles" / "modules"
OF_THE_CONTROLLER = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}


def test_the_page_s_own_posts_pass_and_the_log_names_the_client(stack: Kubernetes, api: Client) -> None:
    host = stack.base_url.partition("//")[2]
    headers = OF_THE_CONTROLLER | {"Origin": f"https://{host}"}

    assert api.post("add", {"args": [1, 2]}, headers=headers).status_code == 202
    wait_until(lambda: lines_of(stack.logs("web"), "^request_finished$", ip="203.0.113.7", code=202), 20)


@pytest.fixture
def site(stack: Kubernetes) -> Iterator[str]:
    """A second web in the pod of the first, which is an ordinary project's with Django's admin."""
    pod = stack.pods("web")[0]
    inside = ("exec", "-i", pod["metadata"]["name"], "-c", "app", "--")
    for name in ("admin_settings.py", "admin_urls.py"):
        write = ("sh", "-c", f"mkdir -p /run/app/site && cat > /run/app/site/{name}")
        stack.kubectl(*inside, *write, text=(MODULES / name).read_text())
    project = ("env", "PYTHONPATH=/run/app/site", "DJANGO_SETTINGS_MODULE=admin_settings")
    manage = (*project, f"DJANGO_SUPERUSER_PASSWORD={PASSWORD}", "python", "app/manage.py")
    stack.kubectl(*inside, *manage, "migrate", "-v0")
    stack.kubectl(*inside, *manage, "createsuperuser", "--noinput", "--username=admin", "--email=a@b.cd")
    web = (
        *project,
        "WEB_BIND=0.0.0.0:8001",
        "WEB_WORKERS=1",
        "INSTANCE=site",
        "python",
        "app/service.py",
        "run",
        "web",
    )
    shell = ("sh", "-c", 'echo $$ > /run/app/site/pid; exec "$@"', "sh", *web)
    command = ["kubectl", "--namespace", stack.namespace, *inside, *shell]
    with subprocess.Popen(command, env=stack.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        url = f"http://{pod['status']['podIP']}:8001"
        try:
            wait_until(lambda: requests.get(f"{url}/livez", timeout=5).status_code == 200, 60)
            yield url
        finally:
            stack.kubectl(*inside, "sh", "-c", "kill $(cat /run/app/site/pid); rm -r /run/app/site")
            process.wait(30)


def test_an_admin_logs_in_through_tls_that_ends_before_the_pod(site: str) -> None:
    page = {"Host": "localhost", "Origin": "https://localhost"}
    with requests.Session() as session:
        answer = log_in(session, site, **page, **OF_THE_CONTROLLER)
        assert (answer.status_code, answer.headers.get("Location")) == (302, "/admin/"), answer.text

        assert log_in(session, site, **page).status_code == 403
