"""The page through TLS, in a real Chromium: HAProxy with deploy/haproxy.cfg in front of the stack, as on a VM."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import needs_chromium, opened
from tests.e2e.supervisor import free_ports
from tests.e2e.targets import Operated
from tests.e2e.test_page import first_job, submit_add
from tests.machine import patience
from tests.tls import missing, tls_end

pytestmark = [needs_chromium, pytest.mark.skipif(bool(missing()), reason=missing() or "all is there")]


@pytest.mark.runtime
def test_the_page_runs_a_task_through_tls(operated: Operated, browser: Browser, tmp_path: Path) -> None:
    https, http = free_ports(2)
    with (
        tls_end(tmp_path, operated.base_url.partition("//")[2], https, http),
        opened(browser, f"https://localhost:{https}/", operated.api_token, ignore_https_errors=True) as page,
    ):
        submit_add(page, "2", "3.5")

        expect(first_job(page)).to_have_attribute("data-state", "SUCCESS", timeout=patience(30_000))
