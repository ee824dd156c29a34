"""A project whose page and API are below /stack/: the proof of one task finds them, and the page works there."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import chromium, needs_chromium, opened
from tests.machine import patience
from tests.roles.conftest import PROJECT, Redis, Role, free_port

THEIRS = {"DJANGO_SETTINGS_MODULE": "elsewhere_settings", "WEB_WORKERS": "1", "WORKER_CONCURRENCY": "1"}


def prove(web: Role, module: str = "stack.ops.proof") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module]
    env = web.env | {"PYTHONPATH": str(PROJECT / "app")}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=patience(40), check=False)


def test_the_proof_finds_the_api_of_a_project_that_redirects_to_https(run_role: Callable[..., Role]) -> None:
    theirs = THEIRS | {"HTTPS_ONLY": "1"}
    web = run_role("web", WEB_BIND=f"127.0.0.1:{free_port()}", **theirs)
    other = run_role("web", "stern", WEB_BIND=f"127.0.0.1:{free_port()}", TRUSTED_PROXIES="192.0.2.1", **theirs)
    run_role("worker", **theirs).wait_ready()

    proved = prove(web.wait_ready())
    assert proved.returncode == 0, proved
    assert proved.stdout.startswith("add(2, 3) = 5, over HTTP")

    refused = prove(other.wait_ready())
    assert refused.returncode == 1
    assert "/stack/api/tasks: the project sends this call to https://localhost/stack/api/tasks." in refused.stderr
    assert "127.0.0.1 in TRUSTED_PROXIES" in refused.stderr


def test_a_queue_that_nobody_serves_is_named_wherever_the_api_is(
    run_role: Callable[..., Role], redis_server: Redis
) -> None:
    web = run_role("web", WEB_BIND=f"127.0.0.1:{free_port()}", **THEIRS).wait_ready()
    redis_server.client.rpush("celery", "{}")

    named = prove(web, "stack.ops.unserved")
    assert named.stdout.startswith("warning: queue 'celery': 1 task waits here, and no worker runs"), named


@pytest.mark.slow
@needs_chromium
def test_the_page_and_the_docs_work_below_their_prefix(run_role: Callable[..., Role]) -> None:
    port = free_port()
    web = run_role("web", WEB_BIND=f"127.0.0.1:{port}", **THEIRS)
    run_role("worker", **THEIRS).wait_ready()
    web.wait_ready()
    base = f"http://localhost:{port}"

    with chromium() as browser, opened(browser, f"{base}/stack/") as page:
        page.get_by_test_id("task-select").select_option("add")
        page.get_by_test_id("field-x").fill("2")
        page.get_by_test_id("field-y").fill("3.5")
        page.get_by_test_id("submit").click()
        job = page.get_by_test_id("job").first
        expect(job).to_have_attribute("data-state", "SUCCESS")
        expect(job.get_by_test_id("job-result")).to_have_text("5.5")
        expect(page.get_by_test_id("counters")).to_contain_text("add")
        page.get_by_test_id("docs-link").click()
        expect(page).to_have_url(f"{base}/stack/api/docs")
        expect(page.get_by_text("/stack/api/tasks/{task}").first).to_be_visible()
