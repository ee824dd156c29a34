"""What only a cluster shows of a project that has never heard of the stack: its nodes, its queues, a roll-out."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
import requests

from tests.adoption.conftest import Adopted
from tests.adoption.test_adopted import only
from tests.machine import patience
from tests.waiting import wait_until

OWN = "worker-for-mail"
ROLES = ("web", "worker", OWN, "beat", "flower")


@only("shop-k8s")
def test_what_is_uploaded_on_one_node_is_read_on_another(place: Adopted) -> None:
    web, *_ = place.stack.pods("web")
    others = [
        pod["metadata"]["name"]
        for pod in place.stack.pods("worker")
        if pod["spec"]["nodeName"] != web["spec"]["nodeName"]
    ]
    assert others, f"every worker is on {web['spec']['nodeName']}:\n{place.stack.story()}"
    address, sizes = f"http://{web['status']['podIP']}:8000/api/attachments/", count(2_900_001)

    def read_there() -> bool:
        """One more upload; whether one was read there. Which worker takes a task is chance."""
        size = next(sizes)
        file = {"file": ("note.txt", b"x" * size)}
        made = requests.post(address, files=file, headers={"Host": "localhost"}, timeout=patience(30))
        assert made.status_code == 201, made.text[:2000]
        place.ran(f"measured {size}")
        return any("Task orders.tasks.measure" in place.stack.run("logs", name).stdout for name in others)

    wait_until(read_there, 60)


@only("shop-k8s")
def test_a_queue_has_a_worker_of_its_own_and_the_others_leave_it(place: Adopted) -> None:
    place.nap("for mail")
    place.ran("reminded for mail")
    assert "Task orders.tasks.remind" in place.stack.logs(OWN)
    assert "Task orders.tasks.remind" not in place.stack.logs("worker")

    def shared_out() -> bool:
        """What a worker notes of itself is up to a second old."""
        found = [each for each in place.call("GET", "/stack/api/workers").json() if each["ready"]]
        (own,) = [each for each in found if f"@{OWN}-" in each["name"]]
        assert (own["queues"], own["concurrency"], own["pool"]) == (["mail"], 4, "threads")
        assert [each["queues"] for each in found if each != own] == [["celery", "orders", "reports"]] * 2
        return True

    wait_until(shared_out, 10)


@contextmanager
def people(place: Adopted) -> Iterator[dict[str, Any]]:
    """Some who look at a page and some who enqueue tasks, as long as the block lasts; what failed is in `failed`."""
    seen: dict[str, Any] = {"labels": [], "pages": 0, "failed": []}
    over = threading.Event()

    def look() -> None:
        assert place.call("GET", "/").status_code == 200
        seen["pages"] += 1

    def enqueue() -> None:
        label = f"during {place.stack.tag} {len(seen['labels'])}"
        place.nap(label, 0.5)
        seen["labels"].append(label)

    def ever(act: Any, every: float) -> None:
        while not over.wait(every):
            try:
                act()
            except (AssertionError, requests.RequestException) as error:
                seen["failed"].append(f"{act.__name__}: {error!r}"[:300])

    threads = [threading.Thread(target=ever, args=each) for each in ((look, 0.5), (enqueue, 2))]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.slow
@only("shop-k8s")
def test_a_new_version_fails_no_request_and_loses_no_task(place: Adopted) -> None:
    stack = place.stack
    before = {role: stack.names(role) for role in ROLES}
    page = stack.root / "app" / "shop" / "orders" / "templates" / "orders" / "home.html"
    page.write_text(page.read_text().replace("<h1>Shop</h1>", "<h1>The new shop</h1>"))
    stack.tag = str(int(stack.tag) + 1)
    stack.build()

    long = [f"long {stack.tag} {number}" for number in range(4)]  # they run when their worker is told to stop
    for label in long:
        place.nap(label, 15)
    with people(place) as seen:
        stack.write()
        stack.make("up")

    assert not seen["failed"], seen["failed"][:5]
    assert seen["pages"] > 20
    # The nodes hear a moment later that an old pod is on its way out.
    wait_until(lambda: "<h1>The new shop</h1>" in place.call("GET", "/").text, 20)
    for role in ROLES:
        assert not set(before[role]) & set(stack.names(role)), role
        assert {pod["spec"]["containers"][0]["image"] for pod in stack.pods(role)} == {stack.image}
    labels = [*long, *seen["labels"]]
    for label in labels:
        place.ran(f"{label} over", within=60)
    place.ran(f"reminded {labels[-1]}")
    # What is cut off at the end of STOP_GRACE runs again, and ends once.
    assert {label: len(place.runs(f"{label} over")) for label in labels} == dict.fromkeys(labels, 1)
