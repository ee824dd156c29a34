"""A login to the admin without TLS, in a real Chromium: secure cookies on this machine, others elsewhere if asked."""

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import chromium, needs_chromium
from tests.machine import patience
from tests.roles.conftest import PROJECT, Redis, Role, free_port
from tests.tls import PASSWORD

pytestmark = [needs_chromium, pytest.mark.slow, pytest.mark.xdist_group("cookies")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The web of a project with Django's admin as it is made, one with INSECURE_COOKIES, and a browser."""
    folder = tmp_path_factory.mktemp("cookies")
    made, insecure = free_port(), free_port()
    server = Redis(folder)
    variables = {"DJANGO_SETTINGS_MODULE": "admin_settings", "WEB_WORKERS": "1", "API_TOKEN": "t" * 20}
    variables |= {"ALLOWED_HOSTS": "127.0.0.1,localhost,shop.lan"}
    roles = [Role("web", server, folder, "web", WEB_BIND=f"127.0.0.1:{made}", **variables)]
    variables |= {"INSECURE_COOKIES": "true"}
    roles.append(Role("web", server, folder, "web-2", WEB_BIND=f"127.0.0.1:{insecure}", **variables))
    try:
        manage = [sys.executable, str(PROJECT / "app/manage.py")]
        for command in (["migrate", "-v0"], ["createsuperuser", "--noinput", "--username=admin", "--email=a@b.cd"]):
            env = roles[0].env | {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
            subprocess.run([*manage, *command], env=env, check=True, timeout=100)
        for role in roles:
            role.wait_ready()
        # A name of the LAN is this machine, by an address that the browser takes for another's.
        lan = "--host-resolver-rules=MAP shop.lan 127.0.0.1"
        with chromium(lan) as browser:
            yield SimpleNamespace(made=made, insecure=insecure, browser=browser, log=roles[1].log)
    finally:
        for role in roles:
            role.end()
        server.stop()


def shown_after_login(browser: Browser, url: str) -> tuple[str, list[bool]]:
    """The text of the page after a person logged in to the admin, and whether each cookie is a secure one."""
    context = browser.new_context()
    context.set_default_timeout(patience(20_000))
    try:
        page = context.new_page()
        page.goto(f"{url}/admin/login/?next=/admin/")
        page.fill("#id_username", "admin")
        page.fill("#id_password", PASSWORD)
        page.click("input[type=submit]")
        page.wait_for_load_state()
        return page.inner_text("body"), [cookie["secure"] for cookie in context.cookies()]
    finally:
        context.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_on_this_machine_secure_cookies_sign_an_admin_in(site: SimpleNamespace, host: str) -> None:
    """The address that `make up` prints is one of them."""
    text, secure = shown_after_login(site.browser, f"http://{host}:{site.made}")

    assert "log out" in text.lower(), text
    assert secure == [True, True]


def test_elsewhere_without_tls_nobody_signs_in_unless_asked_for(site: SimpleNamespace) -> None:
    text, secure = shown_after_login(site.browser, f"http://shop.lan:{site.made}")
    assert "CSRF" in text
    assert secure == []

    text, secure = shown_after_login(site.browser, f"http://shop.lan:{site.insecure}")
    assert "log out" in text.lower(), text
    assert secure == [False, False]
    assert "INSECURE_COOKIES is on, and others reach the web role as shop.lan" in site.log.read_text()
