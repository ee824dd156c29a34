"""Somebody who sends two tasks a second, whatever happens, and what the answers were."""

import threading
import time
from typing import Any, NamedTuple

import requests

from tests.e2e.client import Client
from tests.machine import patience
from tests.waiting import wait_until

WITHIN = 2.0  # seconds in which a call is answered while Redis is away


class Sent(NamedTuple):
    begun: float
    took: float
    status: int
    task: str
    ended: float  # Unix seconds


class Senders:
    """`with Senders(api) as senders: …; senders.refused()`; each call has a thread, and none waits for another."""

    def __init__(self, api: Client, every: float = 0.5):
        self.api, self.every, self.sent = api, every, list[Sent]()
        self.failed: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._send_on)]

    def __enter__(self) -> "Senders":
        self.begun = time.monotonic()
        self._threads[0].start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._threads[0].join()
        for thread in self._threads[1:]:
            thread.join()

    def _send_on(self) -> None:
        while not self._over.wait(self.every):
            self._threads.append(threading.Thread(target=self._send))
            self._threads[-1].start()

    def _send(self) -> None:
        begun = time.monotonic()
        try:
            answer = self.api.post("add", {"args": [1, 1]})
        except requests.RequestException as error:
            self.failed.append(repr(error)[:200])
            return
        if answer.status_code == 503 and not answer.headers.get("Retry-After"):
            self.failed.append(f"no Retry-After: {answer.text}")
        task = answer.json()["id"] if answer.status_code == 202 else ""
        self.sent.append(Sent(begun, time.monotonic() - begun, answer.status_code, task, time.time()))

    def accepted_again(self, within: float = 60) -> None:
        """Return when the last three calls were accepted."""
        many = len(self.sent)
        wait_until(lambda: len(self.sent) >= many + 3 and {call.status for call in self.sent[-3:]} == {202}, within)

    def refused(self) -> list[Sent]:
        """The calls that had a 503, in their order; nothing else happened to any, and each was answered in time."""
        assert not self.failed, self.failed[:5]
        assert {call.status for call in self.sent} <= {202, 503}
        slow = [call for call in self.sent if call.took > patience(WITHIN)]
        assert not slow, slow
        return sorted(call for call in self.sent if call.status == 503)

    def print_refused(self, what: str) -> None:
        """The numbers of the table in k8s/README.md."""
        calls = self.refused()
        seconds = max(call.begun + call.took for call in calls) - min(call.begun for call in calls) if calls else 0
        print(f"{what}: {len(calls)} of {len(self.sent)} calls had a 503, over {seconds:.1f} s")

    def all_succeed(self, within: float = 120) -> None:
        """Each task that was accepted ends in SUCCESS."""
        states = {call.task: self.api.done(call.task, within=within)["state"] for call in self.sent if call.task}
        assert set(states.values()) == {"SUCCESS"}, states
