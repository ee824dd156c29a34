"""The verbs of an operator as somebody types them: `make` in a stack's folder, for any runtime."""

import re
import subprocess
from pathlib import Path

from tests.machine import patience

Done = subprocess.CompletedProcess[str]
# Quotes within quotes, and what a shell or make would take for its own.
HARD = """shell -v 0 -c 'print("a  b", "$HOME", "`id`; #", 6*7); raise SystemExit(7)'"""


class Verbs:
    """`make <verb> TARGET=<runtime>` in a folder; nothing is on the terminal."""

    def __init__(self, root: Path, env: dict[str, str], runtime: str):
        self.root, self.env, self.runtime = root, env, runtime

    def __call__(self, verb: str, text: str = "", **variables: str) -> Done:
        """What a verb says, with `text` on its standard input."""
        return subprocess.run(
            ["make", verb, f"TARGET={self.runtime}", *(f"{name}={value}" for name, value in variables.items())],
            cwd=self.root, env=self.env, input=text, capture_output=True, text=True, timeout=patience(150), check=False,
        )  # fmt: skip

    def rows(self) -> tuple[int, dict[str, list[str]], str]:
        """The exit code of `make status`, the cells of each row by its role, and what stands below the table."""
        done = self("status")
        head, _, below = done.stdout.partition("\n\n")
        names, *lines = [re.split(r"\s{2,}", line) for line in head.splitlines()] or [[]]
        assert names == ["role", "running", "ready", "version", "since", "restarts"], done
        return done.returncode, {line[0]: line[1:] for line in lines}, below.strip()


def operates_django(make: Verbs, other: str = "worker") -> None:
    """What `make shell` and `make manage` promise wherever the stack is up."""
    # By what comes in, in another role: that role's user in Redis, with that role's secrets.
    asked = "from stack.runtime.env import environment, get, redis_url as at; e = environment()\n" \
            "import redis; _, user, host, port, number = at(get('SERVICE_ROLE', e), e)\n" \
            "word = get('REDIS_PASSWORD', e)\n" \
            "def seen():\n    return redis.Redis(host, port, number, word, username=user)\n" \
            "print(seen().ping(), user)"  # fmt: skip
    done = make("shell", asked, ROLE=other)
    assert (done.returncode, done.stdout) == (0, f"True {other}\n"), done.stderr

    done = make("manage", ARGS=HARD)
    assert done.stdout == "a  b $HOME `id`; # 42\n", done.stderr
    assert done.returncode == 2  # make's own for any failure; the command's is in its line
    assert "Error 7" in done.stderr, done.stderr
    done = make("manage", ARGS="check 'it")
    assert "ARGS=check 'it: No closing quotation" in done.stderr
    assert "make manage ARGS='createsuperuser'" in make("manage").stderr
    assert (
        "ROLE=flower: it must be a role that runs the project's code: web, worker, beat"
        in make("shell", ROLE="flower").stderr
    )
