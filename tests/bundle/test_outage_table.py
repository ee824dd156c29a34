"""The table "What an outage does" in k8s/README.md: each line has a test that does it and looks."""

import ast
import re
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
HEADING = "## What an outage does"
PODS, DRAINS, POWER, CLUSTER = (
    f"tests/chaos/test_{name}.py::test_" for name in ("pods", "drains", "power_cut", "cluster")
)
RUNNING, NETWORK, OUTAGE = "tests/k8s/test_running.py::test_", "tests/chaos/test_network.py::test_", "tests/e2e/"
# What happens, by its words in the table, and the tests that do it to a real cluster.
TESTS = {
    "a pod of web is deleted": [f"{PODS}a_pod_that_is_deleted_fails_no_request_and_loses_no_task"],
    "a pod of a worker is deleted": [
        f"{PODS}a_pod_that_is_deleted_fails_no_request_and_loses_no_task",
        f"{PODS}tasks_that_outlast_their_workers_stop_run_again_and_end_once",
    ],
    "the pod of beat is deleted": [f"{PODS}a_pod_that_is_deleted_fails_no_request_and_loses_no_task"],
    "the pod of Flower is deleted": [f"{PODS}a_pod_that_is_deleted_fails_no_request_and_loses_no_task"],
    "a pod of web is deleted by force": [f"{PODS}a_web_deleted_by_force_cuts_off_only_what_it_answers"],
    "a pod of a worker is deleted by force": [f"{PODS}what_a_worker_deleted_by_force_held_runs_again_in_time"],
    "the pod of beat or Flower is deleted by force": [
        f"{PODS}a_pod_that_is_deleted_by_force_is_replaced_and_loses_no_task"
    ],
    "`redis-0` is deleted": [
        f"{PODS}redis_0_deleted_is_a_503_for_seconds_and_loses_no_task",
        f"{RUNNING}redis_deleted_with_queued_tasks_loses_none",
    ],
    "`db-0` is deleted": [f"{PODS}db_0_deleted_fails_no_task_and_no_call_that_needs_only_redis"],
    "the Job `make-secrets` is deleted": [f"{RUNNING}the_secret_is_random_and_a_second_run_of_the_job_leaves_it_alone"],
    "a node is drained": [f"{DRAINS}a_drained_node_fails_no_request_and_loses_and_repeats_no_task"],
    "the node of Redis or PostgreSQL is drained": [f"{DRAINS}with_the_node_of_redis_drained_all_is_503_and_kept"],
    "a node dies": [f"{POWER}after_a_power_cut_all_roles_answer_from_the_other_node"],
    "the node of Redis or PostgreSQL dies": [
        f"{POWER}when_the_node_of_redis_dies_all_is_503_and_kept_until_it_is_back"
    ],
    "Redis is away": [
        f"{CLUSTER}three_minutes_without_redis_restart_no_pod",
        f"{OUTAGE}test_outage.py::test_while_redis_is_away_every_call_is_answered_within_two_seconds",
        f"{OUTAGE}test_outage.py::test_a_task_that_runs_through_an_outage_succeeds_and_runs_once",
    ],
    "the database is away": [
        "tests/chaos/test_database_away.py::test_without_the_database_no_task_fails_and_its_addresses_say_503"
    ],
    "the network between one pod and Redis is cut": [
        f"{NETWORK}a_web_that_is_cut_from_redis_answers_503_in_time",
        f"{NETWORK}a_worker_that_is_cut_from_redis_runs_on_and_repeats_nothing",
    ],
}


def test_redis_is_found_from_the_moment_it_listens() -> None:
    objects = yaml.safe_load_all((PROJECT / "k8s/base/redis.yaml").read_text())
    (service,) = [item for item in objects if item["kind"] == "Service"]
    assert service["spec"]["publishNotReadyAddresses"] is True


def lines() -> list[str]:
    """The first cells of the table."""
    text = (PROJECT / "k8s/README.md").read_text().partition(HEADING)[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert all(len(row) == 2 for row in rows[2:]), rows
    return [row[0] for row in rows[2:]]


def test_each_line_of_the_outage_table_has_its_tests() -> None:
    assert sorted(lines()) == sorted(TESTS), f"name the tests of a new line in {Path(__file__).name}"


@pytest.mark.parametrize("named", sorted({test for tests in TESTS.values() for test in tests}))
def test_the_test_of_a_line_exists_and_is_skipped_only_without_a_cluster(named: str) -> None:
    path, _, name = named.partition("::")
    tree = ast.parse((PROJECT / path).read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert len(found) == 1, f"{path} has no {name}"
    marks = [ast.unparse(mark) for mark in found[0].decorator_list]
    assert not [mark for mark in marks if re.search(r"\b(skip|xfail)\b", mark)], marks
