"""Run a role and run it anew when a file of the project changes; for compose.dev.yaml alone.

python reload.py worker
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

APP = Path("/srv/app")


def seen() -> dict[Path, float]:
    """When each file that matters was last changed. Looked at again and again: mounts tell no one of changes."""
    found = {}
    for end in ("*.py", "*.html"):
        for path in APP.rglob(end):
            try:
                found[path] = path.stat().st_mtime
            except FileNotFoundError:  # an editor's own file, gone since it was listed
                continue
    return found


def stop(*_: object) -> None:
    # Raised through whatever runs: waiting here for a child that is just being waited for would never end.
    sys.exit()


if __name__ == "__main__":
    command = [sys.executable, str(APP / "service.py"), "run", *sys.argv[1:]]
    child = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, stop)
    before = seen()
    try:
        while True:
            time.sleep(1)
            after = seen()
            if after != before:
                print("reload: a file changed", flush=True)
                before = after
                child.terminate()
                child.wait()
                child = subprocess.Popen(command)
    finally:
        child.terminate()
        sys.exit(child.wait())
