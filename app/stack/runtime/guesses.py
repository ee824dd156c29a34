"""Counts wrong secrets by the address that sent them, in this process's memory. The standard library only."""

import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

QUIET = 1  # seconds between two lines of the log about one address


@dataclass
class _Caller:
    times: deque[float] = field(default_factory=deque)
    logged: float = float("-inf")


class Guesses:
    """Says how long an address must wait after too many wrong guesses, and never waits itself.

    A caller checks the secret first: a right one passes however many wrong ones came from its address, which
    it may share with others behind one proxy. A network of IPv6 (/64) counts as one address: whoever has one of
    its addresses has all of them.

    Args:
        limit: so many wrong guesses within `seconds` are answered as any; those that follow have to wait.
        remembered: addresses at most; the one that guessed longest ago is forgotten first. Each takes `limit` numbers.
        clock: seconds that never go backwards.
    """

    def __init__(
        self,
        limit: int = 10,
        seconds: float = 60,
        remembered: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.limit, self.seconds, self.remembered, self.clock = limit, seconds, remembered, clock
        self._callers: OrderedDict[str, _Caller] = OrderedDict()
        self._lock = threading.Lock()

    def wrong(self, address: str) -> int:
        """Record one wrong guess of `address`; the seconds to wait from now on, 0 up to the limit.

        A guess that comes while the address has to wait is not counted: otherwise the wait would never end.
        """
        with self._lock:
            now, caller = self.clock(), self._caller(address)
            wait = self._wait(caller, now)
            if not wait:
                caller.times.append(now)
            return wait

    def blocked(self, address: str) -> int:
        """The seconds that `address` still has to wait; 0 if it need not."""
        with self._lock:
            caller = self._callers.get(_network(address))
            return self._wait(caller, self.clock()) if caller else 0

    def worth_a_line(self, address: str) -> bool:
        """Whether a guess of `address` should be logged: once a second, so that guesses cannot flood the log."""
        with self._lock:
            now, caller = self.clock(), self._caller(address)
            if now - caller.logged < QUIET:
                return False
            caller.logged = now
            return True

    def _caller(self, address: str) -> _Caller:
        key = _network(address)
        caller = self._callers.setdefault(key, _Caller())
        self._callers.move_to_end(key)
        while len(self._callers) > self.remembered:
            self._callers.popitem(last=False)
        return caller

    def _wait(self, caller: _Caller, now: float) -> int:
        while caller.times and now - caller.times[0] >= self.seconds:
            caller.times.popleft()
        if len(caller.times) < self.limit:
            return 0
        return max(1, -int(-(caller.times[0] + self.seconds - now) // 1))


def _network(address: str) -> str:
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a socket file has no address
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    return str(known.ipv4_mapped or ipaddress.ip_network((known, 64), strict=False))
