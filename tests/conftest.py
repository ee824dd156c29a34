"""Of all rings: what goes with the demo, the machine's speed, second tries, and what is told at the end."""

from pathlib import Path
from typing import Any

import pytest

from tests import machine

TESTS = Path(__file__).parent
UNIT, BUNDLE = "unit", "bundle"
# Without the demo, whose tasks these rings send, nothing of theirs is collected.
WITH_THE_DEMO = {"unit", "roles", "windows", "e2e", "adoption", "compose", "k8s", "chaos"}
HAS_DEMO = (TESTS.parent / "app" / "demo").is_dir()
# A broken product must not take twice the time of a whole one: so many second tries in one run.
SECOND_TRIES = 8


class Beyond(AssertionError):
    """A failure that is never luck: it is not tried again."""


def ring(path: Path) -> str:
    """The ring that a file of the tests belongs to: the folder below tests/."""
    return path.relative_to(TESTS).parts[0]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    if HAS_DEMO or not collection_path.is_relative_to(TESTS):
        return None
    return True if WITH_THE_DEMO & set(collection_path.relative_to(TESTS).parts) else None


@pytest.hookimpl(tryfirst=True)  # before pytest-timeout reads it
def pytest_configure(config: pytest.Config) -> None:
    if hasattr(
        config, "workerinput"
    ):  # a process of pytest-xdist: it has the options and the environment of its parent
        return
    machine.settle()
    config.option.timeout = machine.patience(float(config.option.timeout or config.getini("timeout")))
    config.option.max_suite_reruns = SECOND_TRIES


def pytest_report_header() -> list[str]:
    lines = [f"limits of this machine: {machine.factor():g} times what is written"]
    if not HAS_DEMO:
        lines.append(f"app/demo is gone, and with it the tests that use it: {', '.join(sorted(WITH_THE_DEMO))}")
    return lines


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # A real system may meet a busy machine once; a table of values may not.
        if ring(item.path) not in (UNIT, BUNDLE):
            item.add_marker(pytest.mark.flaky(reruns=1, condition=lambda error: not isinstance(error, Beyond)))
        if own := item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(machine.patience(own.args[0])), append=False)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what passed on its second try, with the log of the first: green, and to be looked at."""
    seen = terminalreporter.stats
    bad = {report.nodeid for kind in ("failed", "error") for report in seen.get(kind, ())}
    second = [report for report in seen.get("rerun", ()) if report.nodeid not in bad]
    if not second:
        return
    terminalreporter.section(f"passed on the second try: {len({report.nodeid for report in second})}")
    for report in second:
        terminalreporter.write_sep("_", f"the first try of {report.nodeid}, {report.when}")
        terminalreporter.write_line(report.longreprtext)
        for name, text in report.sections:
            terminalreporter.write_sep("-", name)
            terminalreporter.write_line(text)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not HAS_DEMO:
        session.exitstatus = pytest.ExitCode.OK
