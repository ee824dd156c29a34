"""A canvas that is revoked: what has not started never does, and what runs goes on."""

from typing import Any

import pytest

from tests.e2e.client import Client, lines_of
from tests.e2e.targets import Target
from tests.e2e.test_canvas import result, send, task
from tests.waiting import wait_until

SLOW = [task("sleep", 4)] * 6


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("group", {"tasks": SLOW}),
        ("chain", {"tasks": [task("sleep", 4), task("sleep"), task("sleep")]}),
        pytest.param("chord", {"header": SLOW, "body": task("xsum")}, marks=pytest.mark.slow),
        pytest.param("chunks", {"name": "sleep", "items": [[4]] * 6, "size": 1}, marks=pytest.mark.slow),
    ],
)
def test_what_has_not_started_of_a_revoked_canvas_never_starts(
    api: Client, stack: Target, kind: str, body: dict[str, Any]
) -> None:
    url = send(api, kind, **body)
    members = api.get(url).json()["members"]
    wait_until(lambda: api.state(members[0])["state"] == "STARTED", 20)

    assert api.call("DELETE", url).status_code == 202

    state = result(api, url)
    assert (state["state"], state["successful"]) == ("REVOKED", False)
    revoked = [member for member in members if api.state(member)["state"] == "REVOKED"]
    begun = [member for member in members if member not in revoked]
    assert members[0] in begun
    assert len(revoked) >= 2
    # It counts as done when what had begun is done, too.
    assert [api.state(member)["state"] for member in begun] == ["SUCCESS"] * len(begun)
    # What would have run has had its turn: this one came last, and takes longer than each of them.
    api.run("sleep", 5, within=40)
    ran = {line.get("task_id") for line in lines_of(stack.logs("worker"), "succeeded in")}
    assert set(members) & ran == set(begun)
    assert "is done" in api.error(api.call("DELETE", url), 409)


@pytest.mark.slow
def test_a_chord_with_a_failed_task_goes_on_and_can_be_revoked(api: Client) -> None:
    url = send(api, "chord", header=[task("fail", "broken"), *SLOW], body=task("xsum"))
    failed = api.get(url).json()["members"][0]
    api.done(failed)

    state = api.get(url).json()
    assert (state["ready"], state["state"], state["error"]["id"]) == (False, "STARTED", failed)
    assert api.call("DELETE", url).status_code == 202
    state = result(api, url)
    assert (state["state"], state["error"]["message"]) == ("FAILURE", "broken")
    assert [api.state(member)["state"] for member in state["members"]].count("REVOKED") >= 4


def test_a_canvas_in_which_everything_runs_cannot_be_revoked(api: Client) -> None:
    url = send(api, "map", name="sleep", items=[5])
    wait_until(lambda: api.get(url).json()["state"] == "STARTED", 20)
    assert "runs already" in api.error(api.call("DELETE", url), 409)
    assert result(api, url)["state"] == "SUCCESS"
