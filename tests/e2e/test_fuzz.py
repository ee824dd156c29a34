"""The OpenAPI document as the attacker's map: no case of 2,000 may make the server fail."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.client import Client
from tests.e2e.targets import Target
from tests.machine import patience

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = PROJECT / ".venv-fuzz/bin/schemathesis"


@pytest.mark.slow
@pytest.mark.xdist_group("fuzz")  # on a stack of its own: it leaves little to others
@pytest.mark.timeout(600)
@pytest.mark.skipif(not PROGRAM.exists(), reason="schemathesis is not installed: make .venv-fuzz/.installed")
def test_no_server_error_in_2000_generated_calls(stack: Target, api: Client, tmp_path: Path) -> None:
    options = ["--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing", "--max-examples", "200"]
    # One thread: two at once in `ast` are an error in Python 3.11.2 (https://github.com/python/cpython/issues/106905).
    options += ["--request-timeout", "35", "--generation-database", "none", "--no-color", "--workers", "1"]
    if stack.api_token:
        options += ["--header", f"Authorization: Bearer {stack.api_token}"]
    command = [str(PROGRAM), "--config-file", str(PROJECT / "tests/e2e/schemathesis.toml"), "run"]
    done = subprocess.run(
        [*command, f"{stack.base_url}/api/openapi.json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=patience(570),
        check=False,
    )
    for name in ("fuzz-1", "fuzz-2"):
        api.call("DELETE", f"/api/schedules/{name}")
    assert done.returncode == 0, done.stdout[-6000:]
    generated = re.search(r"([\d,]+) generated, ([\d,]+) passed", done.stdout)
    assert generated, done.stdout[-2000:]
    assert int(generated[1].replace(",", "")) >= 2000, generated[0]
