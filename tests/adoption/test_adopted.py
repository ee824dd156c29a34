"""What a project's people had before and what the stack promises them, of projects that have never heard of it."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.adoption.adopted import edited_lines
from tests.adoption.conftest import Adopted
from tests.e2e.browser import needs_chromium, opened
from tests.e2e.supervisor import Supervisor
from tests.machine import patience
from tests.waiting import stays, wait_until

INTERVAL = 2  # seconds of the projects' periodic task


def only(*projects: str) -> Callable[[Any], Any]:
    """For a test of what these projects alone have."""

    def mark(test: Any) -> Any:
        test.only = projects
        return test

    return mark


def test_at_most_ten_lines_of_the_repository_are_edited(place: Adopted) -> None:
    assert edited_lines(place.stack.root) <= 10


def test_a_page_comes_with_its_style(place: Adopted) -> None:
    page = place.call("GET", "/")
    assert page.status_code == 200, page.text[:2000]
    (sheet,) = re.findall(r'rel="stylesheet" href="([^"]+)"', page.text)
    style = place.call("GET", sheet)
    assert (style.status_code, style.headers["Content-Type"].split(";")[0]) == (200, "text/css"), sheet
    for name in re.findall(r'url\("([^"]+)"\)', style.text):
        assert place.call("GET", f"{sheet.rpartition('/')[0]}/{name}").status_code == 200, name


@needs_chromium
def test_a_browser_logs_in_to_the_admin_and_sees_its_style(place: Adopted, browser: Browser) -> None:
    person = (
        "from django.contrib.auth import get_user_model as model; model().objects.create_superuser('boss', '', 'x7!')"
    )
    place.stack.manage("shell", "-c", person)
    with place.at_hand() as address, opened(browser, f"{address}/admin/") as page:
        page.locator("#id_username").fill("boss")
        page.locator("#id_password").fill("x7!")
        page.locator("[type=submit]").click()
        expect(page.get_by_role("heading", name="Site administration")).to_be_visible()
        page.reload()  # the cookie is kept
        expect(page.get_by_role("heading", name="Site administration")).to_be_visible()
        color = "getComputedStyle(document.querySelector('#header')).backgroundColor"
        assert page.evaluate(color) not in ("rgba(0, 0, 0, 0)", "transparent")


def test_a_form_to_its_own_api_enqueues_a_task_that_ends(place: Adopted) -> None:
    made = place.call("POST", "/api/orders/", data={"quantity": "21"})
    assert made.status_code == 201, made.text[:2000]
    order = f"/api/orders/{made.json()['id']}/"

    def filled() -> bool:
        assert place.call("GET", order).json()["total"] == 42
        return True

    wait_until(filled, 30)


def test_the_pages_of_the_stack_are_below_their_own_prefix(place: Adopted) -> None:
    assert place.call("GET", "/livez").status_code == place.call("GET", "/readyz").status_code == 200
    assert place.call("GET", "/stack/").status_code == 200
    assert place.call("GET", "/stack/api/tasks").status_code == 200
    assert place.call("GET", "/version").status_code == 404  # the project's, which has none


@pytest.fixture(scope="module")
def killed(place: Adopted) -> dict[str, str]:
    """Six tasks that a worker ran when its main process was killed, by their ids: the label of each.

    They run again after VISIBILITY_TIMEOUT: other tests run meanwhile.
    """
    when = time.monotonic()  # another label for a second try
    tasks = {place.nap(label, 15): label for label in [f"held {number} {when}" for number in range(6)]}
    for label in tasks.values():
        place.ran(label)
    assert not any(place.runs(f"{label} over") for label in tasks.values())
    place.stack.signal("worker", "KILL")
    return tasks


def test_a_killed_worker_is_there_again_and_runs_the_next_task(place: Adopted, killed: dict[str, str]) -> None:
    place.nap("next")
    place.ran("next over")


def test_a_revoked_task_never_starts(place: Adopted) -> None:
    place.stack.stop("worker")
    try:
        revoked = place.nap("revoked")
        answer = place.call("DELETE", f"/stack/api/tasks/{revoked}")
        assert answer.status_code == 202, answer.text
        place.nap("not revoked")
    finally:
        place.stack.start("worker")
    place.ran("not revoked over")
    assert place.runs("revoked") == []
    assert place.state(revoked) == "REVOKED"


@contextmanager
def two_beats(place: Adopted) -> Iterator[None]:
    if isinstance(place.stack, Supervisor):
        place.stack.add_standby_beat()
        try:
            yield
        finally:
            place.stack.remove_standby_beat()
    else:
        place.stack.scale("beat", 2)
        try:
            yield
        finally:
            place.stack.scale("beat", 1)


@only("tutorial", "shop")
def test_two_beats_run_a_schedule_once_each_interval(place: Adopted) -> None:
    if place.project.name == "shop":
        place.stack.manage("schedule")
    place.ran("tick")
    with two_beats(place):
        seen = len(place.runs("tick"))
        place.ran("tick", seen + 6)
        times = place.runs("tick")[seen:]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert min(pauses) > INTERVAL / 2, pauses  # doubled, two would be together
    assert sum(pauses) / len(pauses) < 2 * INTERVAL, pauses


def test_a_task_whose_process_is_killed_runs_again(place: Adopted) -> None:
    for number in range(6):
        place.nap(f"killed {number}", 2)
    place.ran("killed 0")
    place.children("worker")[-1].kill()
    for number in range(6):
        place.ran(f"killed {number} over", within=60)


def test_what_is_queued_outlives_a_deploy(place: Adopted) -> None:
    if place.stack.api_token:
        pytest.skip("on a cluster a deploy is a roll-out: test_on_a_cluster.py")
    place.stack.stop("worker")
    place.nap("deployed")
    place.stack.down()
    place.stack.up()
    place.ran("deployed over", within=60)
    assert place.call("GET", "/").status_code == 200


@only("shop")
def test_its_own_base_class_own_ids_and_every_queue_work(place: Adopted) -> None:
    assert place.nap("own id", id="order-17") == "order-17"
    place.ran("own id over")
    place.ran("reminded own id")
    record = place.call("GET", "/stack/api/tasks/order-17").json()
    assert (record["state"], record["result"]) == ("SUCCESS", "order-17")


@only("shop")
def test_an_upload_is_read_by_a_task(place: Adopted) -> None:
    made = place.call("POST", "/api/attachments/", files={"file": ("note.txt", b"x" * 3_000_000)})
    assert made.status_code == 201, made.text[:2000]
    place.ran("measured 3000000")


@only("shop")
def test_its_own_error_pages_and_languages_are_its_own(place: Adopted) -> None:
    assert place.call("GET", "/nowhere").text == "The shop has no such page."
    assert place.call("GET", "/de/welcome/").status_code == 200
    refused = place.call("POST", "/api/orders/", data={"quantity": "many"})
    assert (refused.status_code, list(refused.json())) == (400, ["quantity"])


@only("shop")
def test_its_own_tests_run_as_they_did(place: Adopted) -> None:
    if not isinstance(place.stack, Supervisor):
        pytest.skip("its developers run them in a checkout")
    folder = place.stack.root / "app" / "shop"
    done = subprocess.run(
        [place.stack.root / ".venv/bin/python", "manage.py", "test"],
        cwd=folder, env=place.stack.env | {"DJANGO_SETTINGS_MODULE": "config.settings.test"},
        capture_output=True, text=True, check=False, timeout=patience(60),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@only("live")
@needs_chromium
def test_a_websocket_is_answered(place: Adopted, browser: Browser) -> None:
    talk = """address => new Promise((heard, failed) => {
        const socket = new WebSocket(address)
        socket.onopen = () => socket.send("hello")
        socket.onmessage = event => heard(event.data)
        socket.onerror = failed
    })"""
    with opened(browser, f"{place.stack.base_url}/") as page:
        assert page.evaluate(talk, f"ws{place.stack.base_url.removeprefix('http')}/ws/") == "heard hello"


def test_every_task_that_a_killed_worker_ran_ends(place: Adopted, killed: dict[str, str]) -> None:
    for task, label in killed.items():
        place.ran(f"{label} over", within=150)
        wait_until(lambda task=task: place.state(task) == "SUCCESS", 10)  # type: ignore[misc]
        assert len(place.runs(label)) > 1  # the first run was killed


def test_nothing_is_refused_by_redis(place: Adopted) -> None:
    stays(lambda: place.stack.refused() == [], 1)
