"""docs/security.md says what the code checks and which roles there are; SECURITY.md leads somewhere."""

import re
import subprocess
from pathlib import Path

import yaml

from stack.runtime.roles import ROLES
from tests.bundle.matches import matches

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs/security.md").read_text()
ID = r"\bstack\.[EW]\d{3}\b"


def test_the_checklist_names_every_check_of_the_code_and_no_other() -> None:
    code = "\n".join(path.read_text() for path in (PROJECT / "app/stack").rglob("*.py"))
    checklist = PAGE.partition("\n## Before others reach it\n")[2]
    assert set(matches(ID, checklist, least=10)) == set(matches(ID, code, least=10))


def test_the_table_of_trust_has_every_role_and_every_service() -> None:
    table = PAGE.partition("\n## Who is trusted with what\n")[2].partition("\n## ")[0]
    firsts = " ".join(matches(r"^\| ([^|]+) \|", table, least=11))
    services = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
    assert set(ROLES) | services.keys() <= set(re.findall(r"`([a-z-]+)`", firsts))


def test_each_role_of_the_table_has_the_secrets_that_it_is_given() -> None:
    from stack.ops.secretfiles import CONTAINER_FILES

    rows = dict(matches(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, least=6))
    for role, files in CONTAINER_FILES.items():
        assert [name for name in files if f"`{name}`" not in rows[role]] == [], role


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    from stack.runtime.exposure import LEAST_PASSWORD, LEAST_TOKEN

    assert f"The token has at least {LEAST_TOKEN} characters" in PAGE
    assert f"Flower's password has at least {LEAST_PASSWORD} characters" in PAGE


def test_a_report_finds_its_way_and_a_release_its_verbs() -> None:
    report = (PROJECT / "SECURITY.md").read_text()
    assert "Report a vulnerability" in report
    for target in matches(r"\]\(([^)#]+)\)", report, least=2):
        assert (PROJECT / target).exists(), target
    assert "](docs/security.md)" in (PROJECT / "README.md").read_text()
    notes = (PROJECT / "CONTRIBUTING.md").read_text().partition("\n## Before a release\n")[2].partition("\n## ")[0]
    verbs = set(matches(r"`make ([a-z0-9-]+)", notes, least=8))
    assert {"sbom", "audit"} <= verbs
    listed = subprocess.check_output(["make", "help"], cwd=PROJECT, text=True)
    assert verbs - {line.split()[0] for line in listed.splitlines() if line} == set()
