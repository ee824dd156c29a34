"""PostgreSQL as the demo's database: a task is sent when its transaction commits, and an outage is told as one."""

from typing import Any

import pytest
import requests

from tests.e2e.client import Client
from tests.e2e.compose import Compose
from tests.e2e.database import tasks_outlive_the_database
from tests.e2e.test_outage import down, hung, timed
from tests.machine import patience
from tests.waiting import stays, wait_until

IN_A_TRANSACTION = """
import sys
from django.db import transaction
from demo.tasks import mul
try:
    with transaction.atomic():
        mul.delay_on_commit(6, 7)
        print("before", flush=True)
        sys.stdin.readline()
        if {fails}:
            raise ValueError
except ValueError:
    pass
"""


@pytest.mark.parametrize("fails", [False, True])
def test_a_task_of_a_transaction_is_sent_when_it_commits_only(stack: Compose, api: Client, fails: bool) -> None:
    before = api.counters("mul")["success"]

    def ran() -> int:
        return api.counters("mul")["success"] - before

    command = ["docker", "exec", "-i", stack.containers("web")[0], "python", "app/manage.py", "shell", "--no-imports"]
    with stack.popen(*command, "-c", IN_A_TRANSACTION.format(fails=fails)) as process:
        assert process.stdout
        assert process.stdout.readline() == "before\n"
        stays(lambda: ran() == 0, 2)
        process.communicate(timeout=patience(20))  # it goes on, to the end of its transaction

    assert process.returncode == 0
    if fails:
        stays(lambda: ran() == 0, 3)
    else:
        wait_until(lambda: ran() == 1, 10)


@pytest.mark.chaos
@pytest.mark.parametrize("outage", [down, hung])
def test_while_the_database_is_away_only_who_needs_it_is_told(stack: Compose, api: Client, outage: Any) -> None:
    csv = {"file": ("a.csv", "a,b\n1,2\n")}
    with outage(stack, "db"):

        def politely(answer: requests.Response) -> None:
            assert "database" in api.error(answer, 503)
            assert int(answer.headers["Retry-After"]) > 0

        timed(lambda: requests.post(f"{stack.base_url}/api/datasets", files=csv, timeout=20), politely, within=2)
        assert api.run("add", 2, 3)["result"] == 5
        assert api.get("/livez").status_code == 200
        assert api.get("/readyz").json()["missing"] == ["database"]
    wait_until(lambda: api.get("/readyz").status_code == 200, 20)
    assert requests.post(f"{stack.base_url}/api/datasets", files=csv, timeout=20).status_code == 201


@pytest.mark.chaos
def test_tasks_that_read_the_database_outlive_its_container(stack: Compose, api: Client) -> None:
    tasks_outlive_the_database(stack, api)
