"""Counts wrong secrets by the address that sent them, in this process's memory. The standard library only."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable


class Guesses:
    """Says how long an address must wait after too many wrong guesses, and never waits itself.

    A caller checks the secret first: a right one passes however many wrong ones came from its address, which
    it may share with others behind one proxy.

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
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wrong(self, address: str) -> int:
        """Record one wrong guess of `address`; the seconds to wait from now on, 0 up to the limit.

        A guess that comes while the address has to wait is not counted: otherwise it would never end.
        """
        with self._lock:
            now = self.clock()
            times = self._times.setdefault(address, deque(maxlen=self.limit))
            self._times.move_to_end(address)
            while len(self._times) > self.remembered:
                self._times.popitem(last=False)
            wait = self._wait(times, now)
            if not wait:
                times.append(now)
            return wait

    def blocked(self, address: str) -> int:
        """The seconds that `address` still has to wait; 0 if it need not."""
        with self._lock:
            times = self._times.get(address)
            return self._wait(times, self.clock()) if times else 0

    def _wait(self, times: deque[float], now: float) -> int:
        while times and now - times[0] >= self.seconds:
            times.popleft()
        if len(times) < self.limit:
            return 0
        return max(1, -int(-(times[0] + self.seconds - now) // 1))
