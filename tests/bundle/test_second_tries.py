"""How the tests themselves judge: who gets a second try, what is told of it, and how limits grow with the machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import machine
from tests.waiting import wait_until

TESTS = Path(__file__).resolve().parents[1]
# Fails once, then passes; what it prints stands for the log of a role.
ONCE = """
from pathlib import Path
from tests.conftest import Beyond

def test_of_luck():
    print("the log of the first try")
    been = Path(__file__).with_suffix(".been")
    if not been.exists():
        been.touch()
        raise {error}("of the first try")
"""


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with the conftest of all rings and no other test."""
    (tmp_path / "app" / "demo").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "machine.py", "__init__.py"):
        shutil.copy(TESTS / name, tmp_path / "tests")
    shutil.copy(TESTS.parent / "pyproject.toml", tmp_path)
    return tmp_path, os.environ | {machine.VARIABLE: "1.5"}


def run(judged: tuple[Path, dict[str, str]], *rings: str, error: str = "AssertionError") -> tuple[int, str]:
    """The exit code and the words of a run over one test of luck in each ring."""
    folder, env = judged
    for ring in rings:
        (folder / "tests" / ring).mkdir()
        (folder / "tests" / ring / "test_luck.py").write_text(ONCE.format(error=error))
    command = [sys.executable, "-m", "pytest", "-n", "1", "--dist", "loadgroup", "--import-mode=importlib", "tests"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_a_system_test_is_tried_twice_and_the_first_log_is_printed(judged: tuple[Path, dict]) -> None:
    rings = ("roles", "windows", "e2e", "compose", "k8s", "chaos", "smoke")
    code, said = run(judged, *rings)

    assert code == 0, said
    told = said.partition("passed on the second try: 7")[2]
    for ring in rings:
        assert f"the first try of tests/{ring}/test_luck.py::test_of_luck" in told
    assert told.count("AssertionError: of the first try") == 7
    assert told.count("the log of the first try") >= 7
    assert "7 passed, 7 rerun" in said


def test_a_test_of_values_is_tried_once(judged: tuple[Path, dict]) -> None:
    code, said = run(judged, "unit", "bundle")

    assert code == 1
    assert "2 failed in" in said


GROUP = """
import os
from pathlib import Path
import pytest

@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(8))
def test_of_a_group(number):
    Path(__file__).with_name(os.environ["PYTEST_XDIST_WORKER"]).touch()
"""


def test_what_shares_a_group_runs_in_one_process(judged: tuple[Path, dict]) -> None:
    """A pytest that does not fit pytest-xdist spreads them without a word, and each process makes a stack."""
    folder, env = judged
    (folder / "tests" / "unit").mkdir()
    (folder / "tests" / "unit" / "test_group.py").write_text(GROUP)
    command = [sys.executable, "-m", "pytest", "-n", "3", "--dist", "loadgroup", "tests"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert len(list((folder / "tests" / "unit").glob("gw*"))) == 1


def test_what_is_never_luck_is_tried_once(judged: tuple[Path, dict]) -> None:
    code, said = run(judged, "e2e", error="Beyond")

    assert code == 1
    assert "1 failed" in said


def test_the_limits_of_a_machine_grow_and_promises_do_not(monkeypatch: pytest.MonkeyPatch, judged: tuple) -> None:
    monkeypatch.setenv(machine.VARIABLE, "2.5")
    assert machine.patience(0.2) == 0.5
    with pytest.raises(AssertionError, match=r"not within 0\.5 s"):
        wait_until(lambda: False, 0.2)
    with pytest.raises(AssertionError, match=r"not within 0\.2 s"):
        wait_until(lambda: False, 0.2, promised=True)

    assert "limits of this machine: 1.5 times what is written" in run(judged, "roles")[1]


def test_a_machine_that_is_slower_than_the_reference_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.measure() >= 1
    monkeypatch.setattr(machine, "REFERENCE", machine.REFERENCE / 100)
    assert machine.measure() > 20
