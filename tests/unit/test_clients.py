"""The limit of requests that one client may have under way."""

from stack.http.clients import Clients
from stack.runtime.networks import networks


def test_a_client_is_counted_until_its_request_ends() -> None:
    clients = Clients(2, [])
    held = [clients.enter("192.0.2.7", []) for _ in range(2)]
    assert held == ["192.0.2.7"] * 2
    assert clients.enter("192.0.2.7", []) is None
    assert clients.enter("192.0.2.8", []) == "192.0.2.8"
    clients.leave("192.0.2.7")
    assert clients.enter("192.0.2.7", []) == "192.0.2.7"
    for key in ("192.0.2.7", "192.0.2.7", "192.0.2.8", ""):
        clients.leave(key)
    assert clients.under_way == {}, "an address that is gone is forgotten"


def test_behind_a_trusted_proxy_each_client_counts_by_itself() -> None:
    clients = Clients(1, networks(["10.0.0.0/8"]))
    said = [("X-FORWARDED-FOR", "198.51.100.1, 192.0.2.7")]
    assert clients.enter("10.0.0.5", said) == "192.0.2.7"
    assert clients.enter("10.0.0.5", [("X-FORWARDED-FOR", "192.0.2.8")]) == "192.0.2.8"
    # What a stranger says of itself makes it nobody else.
    assert clients.enter("192.0.2.9", said) == "192.0.2.9"
    assert clients.enter("192.0.2.9", [("X-FORWARDED-FOR", "203.0.113.1")]) is None


def test_without_a_limit_nobody_is_counted() -> None:
    clients = Clients(0, [])
    assert [clients.enter("192.0.2.7", []) for _ in range(100)] == [""] * 100
    assert clients.under_way == {}
