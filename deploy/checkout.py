"""What every runtime of this folder stands on: where things are, the roles, and how a verb gives up."""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "app"))

ROLES = ("web", "worker", "beat", "flower")


class Stop(Exception):
    """A reason to stop with exit code 1; the text names the fix."""
