"""The stack on a cluster as kubectl sees it; what `cluster.py` and `cluster_secrets.py` stand on."""

import os
import re
import subprocess
from functools import cache

from checkout import PROJECT, Stop

# The folder that is applied.
OVERLAY = os.environ.get("OVERLAY") or "k8s"
READY_WITHIN = 300  # seconds for a role to become ready: it may wait for a volume or for a large log of Redis


def kubectl(*arguments: str, text: str | None = None) -> str:
    """The output of kubectl in the stack's namespace.

    Raises:
        Stop: it failed, or is not there.
    """
    try:
        done = subprocess.run(
            ["kubectl", *arguments], cwd=PROJECT, input=text, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise Stop("kubectl is not on PATH: install it, and point KUBECONFIG to your cluster") from None
    if done.returncode:
        raise Stop(f"kubectl {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}".strip())
    return done.stdout


@cache
def rendered() -> str:
    """The overlay's objects, as text."""
    return kubectl("kustomize", OVERLAY)


def namespace() -> str:
    """The namespace of the overlay's objects."""
    return re.findall(r"^  namespace: (\S+)$", rendered(), re.MULTILINE)[0]
