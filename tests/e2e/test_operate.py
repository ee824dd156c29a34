"""`make shell`, `manage`, `logs` and `status` on a machine; tests/compose and tests/k8s have the same for theirs."""

import re
import subprocess

import pytest

from tests.e2e.client import Client
from tests.e2e.conftest import Stopped
from tests.e2e.supervisor import ROLES, Supervisor
from tests.verbs import Verbs, operates_django
from tests.waiting import wait_until


@pytest.fixture
def make(vm: Supervisor) -> Verbs:
    return Verbs(vm.root, vm.env, "supervisor")


def test_djangos_commands_run_in_a_role_with_its_rights(make: Verbs) -> None:
    operates_django(make)


def test_the_logs_are_those_of_a_role_with_each_of_its_workers(vm: Supervisor, make: Verbs, api: Client) -> None:
    vm.scale("worker", 2)
    try:
        done = make("logs", ROLE="worker", TAIL="all")
        assert done.returncode == 0, done.stderr
        assert re.findall(r"^==> (\S+) <==$", done.stdout, re.MULTILINE) == [
            "run/log/worker-2.log",
            "run/log/worker.log",
        ]
        assert make("logs", ROLE="worker-2", TAIL="1").stdout.count("\n") == 1

        every = make("logs", TAIL="2").stdout
        assert {f"==> run/log/{role}.log <==" for role in (*ROLES, "redis", "supervisord")} <= set(every.splitlines())
        assert "ROLE=workr: it must be one of beat, flower, redis" in make("logs", ROLE="workr").stderr
        assert "TAIL=few: it must be a number of lines, or all" in make("logs", TAIL="few").stderr

        follow = ["make", "logs", "ROLE=web", "TAIL=1", "FOLLOW=1"]
        with subprocess.Popen(follow, cwd=vm.root, env=vm.env, stdout=subprocess.PIPE, text=True) as followed:
            assert followed.stdout
            followed.stdout.readline()
            api.get("/version")
            assert "/version" in followed.stdout.readline()
            followed.terminate()
    finally:
        vm.scale("worker", 1)


def test_the_status_counts_who_is_ready_and_says_why_one_is_not(make: Verbs, vm: Supervisor, stopped: Stopped) -> None:
    code, rows, below = wait_until(lambda: (found := make.rows())[0] == 0 and found, 20)
    assert (code, below) == (0, "")
    assert {role: cells[1] for role, cells in rows.items()} == dict.fromkeys((*ROLES, "redis"), "1 of 1")
    assert re.fullmatch(r"[0-9a-f]{12}", rows["web"][2])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", rows["redis"][3])

    with stopped("worker"):
        code, rows, below = make.rows()
        assert code != 0
        assert rows["worker"][:2] == ["0", "0 of 1"]
        assert below == "worker is not ready: stopped; see run/log/worker.log"
