"""People at work while something is done to the stack, and what they saw of it."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any

import requests

from tests.e2e.client import Client
from tests.machine import patience
from tests.waiting import stays, wait_until


@contextmanager
def load(api: Client) -> Iterator[dict[str, Any]]:
    """Callers that read, submit and wait for as long as the block lasts; what failed is in `failed`."""
    seen: dict[str, Any] = {"calls": 0, "tasks": [], "sleeps": 0, "failed": []}
    over, counting = threading.Event(), threading.Lock()

    def caller(kind: str) -> None:
        while not over.wait(0.1):
            try:
                if kind == "read":
                    assert api.get("/version").status_code == 200
                elif kind == "submit":
                    seen["tasks"].append(api.submit("add", 1, 1))
                else:
                    task_id = api.submit("sleep", 3)
                    seen["tasks"].append(task_id)
                    with counting:
                        seen["sleeps"] += 1
                    assert api.state(task_id, wait=25)
                seen["calls"] += 1
            except (AssertionError, requests.RequestException) as error:
                seen["failed"].append(f"{time.strftime('%X')} {kind}: {error!r}"[:300])

    threads = [threading.Thread(target=caller, args=(kind,)) for kind in ("read", "read", "submit", "wait", "wait")]
    for thread in threads:
        thread.start()
    try:
        yield seen
        time.sleep(3)  # what fails just after the end has to be seen too
    finally:
        over.set()
        for thread in threads:
            thread.join()


class Ticks:
    """A schedule of our own, and when beat says that it ran: `with Ticks(api) as ticks: …; ticks.check()`."""

    name, task = "test-ticks", "mul"

    def __init__(self, api: Client, every: int = 5):
        self.api, self.every, self.seen, self.over = api, every, [], threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Ticks":
        self.runs = self.api.counters(self.task)["success"]
        self._every(self.every)
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            self._end()
        finally:
            self.api.call("DELETE", f"/api/schedules/{self.name}")

    def _every(self, seconds: int) -> None:
        body = {"task": self.task, "args": [1, 1], "kwargs": {}, "options": {}, "every": seconds, "enabled": True}
        answer = self.api.call("PUT", f"/api/schedules/{self.name}", json=body)
        assert answer.status_code in (200, 201), answer.text

    def _end(self) -> None:
        """No tick comes any more, and each that came is seen: it stops while the watch still looks."""
        if not self.over.is_set():
            try:
                self._every(3600)
                time.sleep(3)  # beat reads it within two seconds, and the last tick is seen half a second later
            finally:
                self.over.set()
                self.thread.join()

    def _watch(self) -> None:
        while not self.over.wait(0.5):
            try:
                entries = self.api.get("/api/schedules", timeout=5).json()
                (entry,) = [item for item in entries if item["name"] == self.name]
            except (requests.RequestException, ValueError, TypeError):
                continue
            if (last := entry["last_run_at"]) and last not in self.seen[-1:]:
                self.seen.append(last)

    def check(self, longest: float) -> list[float]:
        """Assert that no tick came twice, that none was `longest` seconds or more after the one before, and that
        each ran once.

        Args:
            longest: seconds; on a slow machine more, because most of it is roles that start.

        Returns:
            list of float: the seconds between ticks.
        """
        self._end()
        longest = patience(longest)
        times = sorted(datetime.fromisoformat(text) for text in self.seen)
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
        assert len(gaps) >= 2, f"too few ticks: {times}"
        assert min(gaps) > self.every - 1.5, f"a tick came twice: {gaps}"
        assert max(gaps) < longest, f"a tick was missed: {gaps}"
        # While the API was away ticks were not seen: as many as there is room for in the gaps that `longest` allows.
        unseen = sum(max(0, round(gap / self.every) - 1) for gap in gaps)

        def ran_once() -> bool:
            runs = self.api.counters(self.task)["success"] - self.runs
            assert len(times) <= runs <= len(times) + unseen, f"{runs} runs of {len(times)} ticks, {unseen} unseen"
            return True

        wait_until(ran_once, 20)  # the last one's task may still run
        stays(ran_once, 2)
        return gaps


def outcome(api: Client, seen: dict[str, Any], within: float = 120) -> Counter[str]:
    """How many of the load's tasks ended in which state; each is waited for."""
    return Counter(api.done(task_id, within=within)["state"] for task_id in seen["tasks"])


class Runs:
    """How often tasks of these names ran to success since this was made."""

    def __init__(self, api: Client, *names: str):
        self.api, self.before = api, {name: api.counters(name)["success"] for name in names}

    def since(self) -> int:
        return sum(self.api.counters(name)["success"] - count for name, count in self.before.items())
