"""A small HTTP client of the product, as another team's program would be."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.machine import patience
from tests.waiting import stays, wait_until

JSON = {"Content-Type": "application/json"}


def place_of(base_url: str) -> str:
    """Where a running stack has its own addresses, "" at the root or as "/stack": the Link of /livez says it.

    app/stack/ops/web.py has the same for the stack's verbs.
    """
    link = requests.get(f"{base_url}/livez", timeout=patience(10)).links.get("service-desc", {"url": ""})["url"]
    assert link.endswith("/api/openapi.json"), f"no API behind {base_url}: its /livez links to {link!r}"
    return link.removesuffix("/api/openapi.json")


class Client:
    """Calls one running stack. Each call stands alone, so threads may share a client.

    Args:
        place: where the stack's own addresses are, as `place_of` gives it; a path of them is given without it.
    """

    def __init__(self, base_url: str, token: str = "", place: str = ""):
        self.base_url, self.place = base_url, place
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, timeout: float = 40, **options: Any) -> requests.Response:
        headers = self.headers | options.pop("headers", {})
        limit = patience(timeout)
        if self.place and path.startswith(("/api/", "/version")) and not path.startswith(f"{self.place}/api/"):
            path = self.place + path
        return requests.request(method, self.base_url + path, headers=headers, timeout=limit, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, task: str, body: dict[str, Any], **options: Any) -> requests.Response:
        return self.call("POST", f"/api/tasks/{task}", json=body, **options)

    def submit(self, task: str, *args: Any, **options: Any) -> str:
        """Enqueue a task and return its id; `options` go beside the arguments (countdown, priority, kwargs)."""
        answer = self.post(task, {"args": list(args), **options})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def state(self, task_id: str, wait: float = 0) -> dict[str, Any]:
        answer = self.get(f"/api/tasks/{task_id}", params={"wait": wait} if wait else {})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def done(self, task_id: str, within: float = 10) -> dict[str, Any]:
        """The task's record once it is ready; at most `within` seconds from now, more on a slow machine."""
        end = time.monotonic() + patience(within)
        while not (state := self.state(task_id, wait=max(0, min(25, end - time.monotonic()))))["ready"]:
            assert time.monotonic() < end, f"not ready within {patience(within):g} s: {state}"
        return state

    def run(self, task: str, *args: Any, within: float = 10, **options: Any) -> dict[str, Any]:
        """Enqueue a task and return its record once it is ready."""
        return self.done(self.submit(task, *args, **options), within)

    def reaches(self, task_id: str, state: str, within: float = 10) -> dict[str, Any]:
        """The task's record as soon as it shows this state."""

        def look() -> dict[str, Any] | None:
            seen = self.state(task_id)
            assert seen["state"] == state, seen
            return seen

        return wait_until(look, within, every=0.05) or {}

    def settled(self, within: float = 20) -> None:
        """Wait, after an outage of Redis, until every web process has found out that it is back.

        One that was asked in it may refuse for a second more, and then all but its first caller.
        """

        def all_answer() -> bool:
            with ThreadPoolExecutor(8) as pool:
                codes = set(pool.map(lambda _: self.get("/api/workers").status_code, range(24)))
            assert codes == {200}, codes
            return True

        stays(lambda: self.get("/livez").status_code == 200, 1.1)
        wait_until(all_answer, within, every=0.5)

    def error(self, answer: requests.Response, status: int) -> str:
        """The message of an error answer, which must have this status and the one shape of errors."""
        assert answer.status_code == status, f"{answer.status_code} {answer.text[:500]}"
        assert answer.headers["Content-Type"].startswith("application/json")
        body = answer.json()
        assert set(body) == {"error"}, body
        assert set(body["error"]) == {"code", "message"}, body
        assert body["error"]["message"], body
        assert "Traceback" not in answer.text
        return str(body["error"]["message"])

    def counters(self, task: str) -> dict[str, int]:
        """How often each hook of a task has run."""
        infos = {info["name"]: info for info in self.get("/api/tasks").json()}
        return dict(infos[task]["counters"])


def lines_of(log: str, text: str, **fields: Any) -> list[dict[str, Any]]:
    """The JSON lines of a log whose event matches `text` and which have these fields, by their time: the log of a
    role that runs several times is one process's after the other's."""
    found = []
    for line in log.splitlines():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        if re.search(text, str(entry.get("event"))) and all(entry.get(name) == value for name, value in fields.items()):
            found.append(entry)
    return sorted(found, key=lambda entry: str(entry["timestamp"]))
