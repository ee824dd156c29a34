"""On the path of a role under test only: SIGUSR2 blocks its main thread, as a deadlock would."""

import signal
import time

if hasattr(signal, "SIGUSR2"):
    signal.signal(signal.SIGUSR2, lambda *_: time.sleep(600))
