"""After all other tests: whatever the roles did in them, Redis refused none of it."""

from tests.e2e.targets import Operated


def test_redis_refused_no_role_anything(operated: Operated) -> None:
    with operated.redis() as admin:
        refused = [(entry["username"], entry["reason"], entry["object"]) for entry in admin.acl_log()]
    # A wrong password is no refusal of what a role does; and Redis 6.2 names no subcommand, so what newer clients ask
    # when they connect, and do without, is `client` to it.
    assert [entry for entry in refused if entry[1] != "auth" and entry[2] != "client"] == []
