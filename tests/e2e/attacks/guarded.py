"""A stack with a token, the ways into it, and what became of what was sent there."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit
from uuid import uuid4

from tests.e2e.attacks.oracle import Case, World, judged
from tests.e2e.attacks.wire import Front
from tests.e2e.client import Client
from tests.e2e.haproxy import haproxy
from tests.e2e.supervisor import Supervisor
from tests.e2e.targets import Operated
from tests.tls import missing
from tests.waiting import wait_until

TOKEN = "a-long-token-of-the-sweep-4711"


@dataclass
class Guarded:
    """A stack with a token, the ways into it, and what an attacker is after."""

    stack: Operated
    api: Client
    world: World
    fronts: list[Front]
    plain: list[Front]  # those without TLS
    proxy_log: Callable[[], str]

    def each(self, cases: list[Case], log: bool = False) -> None:
        """Send these cases to every front; fail with all that came through, and with what ran."""
        bad: dict[str, str] = {}
        for front in self.fronts:
            begun = len(self.stack.logs("web"))
            found = judged(front, cases, self.world, partial(self.served, begun) if log else None)
            bad |= {f"{front.name}: {name}": why for name, why in found.items()}
        if ran := self.ran():
            bad[f"{len(ran)} tasks ran"] = ran[0]
        assert not bad, listed(bad)

    def web_log(self, begun: int) -> str:
        """The web role's log from there on, once all that was asked is in it."""
        last = f"/end-{uuid4().hex}"
        self.api.get(last)
        wait_until(lambda: last in self.stack.logs("web")[begun:], 10)
        return self.stack.logs("web")[begun:]

    def served(self, begun: int) -> str:
        """The requests in it."""
        found = []
        for line in self.web_log(begun).split("\n"):
            if line.startswith("{"):
                found.append(str(json.loads(line).get("request", "")))
        return "\n".join(found)

    def ran(self) -> list[str]:
        """The results of tasks that nobody might send, once nothing waits any more; they are forgotten then."""
        self.api.run("ping", within=30)
        with self.stack.redis() as admin:
            wait_until(lambda: not admin.llen("celery") and not admin.hlen("unacked"), 30)
            keys = list(admin.scan_iter("celery-task-meta-*", count=1000))
            results = dict(zip(keys, admin.mget(keys), strict=True))
            found = {key: result for key, result in results.items() if self.world.marker in (result or "")}
            if found:  # the next table must not be blamed for it
                admin.delete(*found)
        return list(found.values())


def listed(bad: dict[str, str]) -> str:
    return f"{len(bad)} cases came through:\n" + "\n".join(f"{name}: {why}" for name, why in bad.items())


@contextmanager
def guarded_stack(operated: Operated) -> Iterator[Guarded]:
    """The stack with a token, and HAProxy in front of it where it brings no proxy, until the block ends."""
    with operated.restarted_with("web", f"API_TOKEN={TOKEN}"):
        api = Client(operated.base_url, TOKEN)
        world = World(TOKEN)
        world.task_id = api.submit("fail", world.secret)
        assert api.done(world.task_id, within=30)["error"]["message"] == world.secret
        address = urlsplit(operated.base_url)
        assert address.hostname
        assert address.port
        first = Front("gunicorn", address.hostname, address.port, proxy=False)
        if not isinstance(operated, Supervisor):
            first = Front("the stack's proxy", address.hostname, address.port)
            yield Guarded(operated, api, world, [first], [first], lambda: operated.logs("proxy"))
        elif not missing():
            with haproxy(f"{first.host}:{first.port}") as proxy:
                fronts, plain = [first, proxy.secure], [first, proxy.plain]
                yield Guarded(operated, api, world, fronts, plain, proxy.log.read_text)
        else:
            yield Guarded(operated, api, world, [first], [first], str)
