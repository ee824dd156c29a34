"""With API_TOKEN set, every /api/ call needs the token."""

import pytest

from tests.e2e.client import Client
from tests.e2e.targets import Operated

TOKEN = "a-token-of-this-test"


@pytest.mark.runtime
def test_with_a_token_set_every_api_call_needs_it(operated: Operated) -> None:
    with operated.restarted_with("web", f"API_TOKEN={TOKEN}"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            stranger = Client(operated.base_url)
            for method, path in (("GET", "/api/tasks"), ("POST", "/api/tasks/add"), ("GET", "/api/openapi.json")):
                answer = stranger.call(method, path, json={"args": [1, 2]}, headers=headers)
                assert "Bearer" in stranger.error(answer, 401)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            # What a machine asks to see whether the process lives needs none.
            assert [stranger.get(path).status_code for path in ("/livez", "/readyz", "/version", "/")] == [200] * 4

        assert Client(operated.base_url, TOKEN).run("add", 2, 3)["result"] == 5
        assert TOKEN not in operated.logs()
