"""After all other tests: whatever the roles did in them, Redis refused none of it."""

import re

import pytest

from tests.e2e.compose import Compose
from tests.e2e.supervisor import Supervisor
from tests.e2e.targets import Target


def test_redis_refused_no_role_anything(stack: Target) -> None:
    if isinstance(stack, Supervisor):
        with stack.redis() as admin:
            refused = [(entry["username"], entry["reason"], entry["object"]) for entry in admin.acl_log()]
    elif isinstance(stack, Compose):
        text = stack.redis("ACL", "LOG")
        values = {name: re.findall(rf"^{name}\n(.*)", text, re.MULTILINE) for name in ("username", "reason", "object")}
        refused = list(zip(values["username"], values["reason"], values["object"], strict=True))
    else:
        pytest.skip("needs the operator's access to Redis")
    # A wrong password is no refusal of what a role does; and Redis 6.2 names no subcommand, so what newer clients ask
    # when they connect, and do without, is `client` to it.
    assert [entry for entry in refused if entry[1] != "auth" and entry[2] != "client"] == []
