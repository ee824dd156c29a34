"""How many requests each client has under way in this process: a limit that is off unless it is set.

It is off because a company behind one proxy, or all of a host's clients behind Docker's gateway, are one address. The
client is who TRUSTED_PROXIES says it is, as in stack/http/proxies.py.
"""

from collections import Counter

from stack.runtime.env import environment, get
from stack.runtime.networks import Network, address, client, inside

LIMIT: int = get("REQUESTS_PER_CLIENT", environment())


class Clients:
    """Counts the requests under way by client.

    Args:
        most: how many one client may have; 0 for no limit.
        trusted: the networks of the proxies that are believed.
    """

    def __init__(self, most: int, trusted: list[Network]):
        self.most, self.trusted = most, trusted
        self.under_way: Counter[str] = Counter()

    def enter(self, peer: str, headers: list[tuple[str, str]]) -> str | None:
        """Who sent a request, which is counted until `leave`; None where that client has too many already.

        Args:
            peer: the address at the other end of the connection.
            headers: the request's, their names in capitals.
        """
        if not self.most:
            return ""
        who = address(peer)
        if who is not None and inside(who, self.trusted):
            who = client(who, ",".join(value for name, value in headers if name == "X-FORWARDED-FOR"), self.trusted)
        key = str(who or peer)
        if self.under_way[key] >= self.most:
            return None
        self.under_way[key] += 1
        return key

    def leave(self, key: str) -> None:
        """The request of this client has its answer, or has ended without one."""
        if key:
            self.under_way[key] -= 1
            if self.under_way[key] <= 0:
                del self.under_way[key]


CLIENTS = Clients(LIMIT, get("TRUSTED_PROXIES", environment()) if LIMIT else [])
