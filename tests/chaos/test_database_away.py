"""PostgreSQL is away while people work."""

import time

import pytest

from tests.chaos.senders import WITHIN, Senders
from tests.e2e.client import Client
from tests.e2e.database import tasks_outlive_the_database
from tests.e2e.k8s import Kubernetes
from tests.e2e.test_datasets import WEATHER, upload
from tests.machine import patience


@pytest.mark.timeout(600)
def test_without_the_database_no_task_fails_and_its_addresses_say_503(stack: Kubernetes, api: Client) -> None:
    took: list[float] = []

    def its_addresses_say_503() -> None:
        begun = time.monotonic()
        answer = upload(api, WEATHER.read_bytes())
        took.append(time.monotonic() - begun)
        assert answer.status_code == 503, answer.text
        assert answer.headers["Retry-After"]
        assert took[-1] < patience(WITHIN)
        assert api.get("/livez").status_code == 200

    with Senders(api) as senders:  # what is sent needs Redis only, and waits for a worker
        tasks_outlive_the_database(stack, api, seconds=60, meanwhile=its_addresses_say_503)
    print(f"{len(took)} calls that need the database had a 503, the slowest after {max(took):.2f} s")
    assert not senders.refused()
    senders.all_succeed()
    for role in ("web", "worker", "beat", "flower"):
        stack.wait_ready(role)
