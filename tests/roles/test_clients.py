"""One client's requests under way are bounded where REQUESTS_PER_CLIENT says so, and another's are not."""

import json
from collections.abc import Callable

from tests.roles.conftest import Role, free_port
from tests.roles.sockets import Web, head
from tests.waiting import wait_until


def test_a_client_with_too_many_requests_under_way_is_refused(run_role: Callable[..., Role]) -> None:
    port = free_port()
    run_role("web", WEB_BIND=f"127.0.0.1:{port}", WEB_WORKERS="1", REQUESTS_PER_CLIENT="2").wait_ready()
    web = Web(port)

    def asked_by(client: str) -> int:
        return web.ask(head("GET /version", X_Forwarded_For=client, Connection="close")).status

    answer = web.post("/api/tasks/add", b'{"args": [1, 2]}', Content_Type="application/json")
    waits = head(f"GET {json.loads(answer.body)['url']}?wait=4", X_Forwarded_For="192.0.2.7")
    with web.stalled(2, waits):
        wait_until(lambda: asked_by("192.0.2.7") == 429, 10)
        assert asked_by("192.0.2.8") == 200
        # Once both are answered.
        wait_until(lambda: asked_by("192.0.2.7") == 200, 20)
