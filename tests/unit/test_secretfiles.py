"""Secrets in containers: which service is given which file, and what the operator's own ones do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack.ops import secretfiles
from stack.runtime.env import APP_DIR

DJANGO = ("web", "worker", "beat")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to the user who reads it")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own" / "web").mkdir(parents=True)
    return tmp_path / "own"


def command(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As compose's service `secrets` runs it."""
    words = [sys.executable, "-m", "stack.ops.secretfiles", tmp_path / "secrets", "--containers", tmp_path / "own"]
    return subprocess.run([*words, *arguments], cwd=APP_DIR, capture_output=True, text=True, check=False)


@as_root
def test_a_file_of_no_service_goes_to_each_role_that_runs_the_code(tmp_path: Path, own: Path) -> None:
    (own / "stripe_key").write_text("for all")
    (own / "mail_key").write_text("for most")
    (own / "web" / "mail_key").write_text("for the web")
    (own / ".gitignore").write_text("*")
    secretfiles.make(tmp_path / "secrets", own)

    found = {f"{path.parent.name}/{path.name}": path for path in (tmp_path / "secrets").glob("*/*_key")}
    assert {name for name in found if name.endswith("stripe_key")} == {f"{role}/stripe_key" for role in DJANGO}
    for role in DJANGO:
        file = found[f"{role}/stripe_key"]
        assert (file.read_text(), oct(file.stat().st_mode)[-3:], file.stat().st_uid) == ("for all", "400", 10001)
        assert found[f"{role}/mail_key"].read_text() == ("for the web" if role == "web" else "for most")
    assert not list((tmp_path / "secrets").glob("*/.gitignore"))


@pytest.mark.parametrize(
    ("name", "service"), [("flower_password", "flower"), ("postgres_password", "db"), ("api_token", "web")]
)
def test_a_secret_of_one_service_is_not_given_to_all(tmp_path: Path, own: Path, name: str, service: str) -> None:
    (own / name).write_text("mine")
    done = command(tmp_path)
    assert done.returncode != 0
    assert (
        done.stderr == f"secrets: docker/secrets/{name} is for {service} alone: move it to docker/secrets/{service}/\n"
    )


@as_root
def test_the_cache_is_given_a_hash_and_its_readers_one_password(tmp_path: Path, own: Path) -> None:
    folder = tmp_path / "secrets"
    secretfiles.make(folder, own)
    assert len({(folder / service / "cache_password").read_text() for service in (*DJANGO, "cache")}) == 1
    users = folder / "cache" / "users.acl"
    assert users.read_text().startswith("user default on #")
    assert (users.stat().st_uid, len(users.read_text().splitlines())) == (999, 1)

    assert command(tmp_path, "--rotate", "beat/cache_password").returncode == 0
    assert users.read_text().count("#") == 2, "both, until the rotation ends"
    assert command(tmp_path, "--finish", "beat/cache_password").returncode == 0
    assert users.read_text().count("#") == 1
    assert not list(folder.glob("*/*.old"))


@as_root
def test_the_end_of_a_secret_of_all_leaves_the_old_ones_of_others(tmp_path: Path, own: Path) -> None:
    """One Redis password for Django's roles, and Flower's of its own, whose rotation was broken off."""
    (own / "redis_password").write_text("first")
    secretfiles.make(tmp_path / "secrets", own)
    assert command(tmp_path, "--rotate", "flower/redis_password").returncode == 0
    assert "is your own" in command(tmp_path, "--rotate", "web/redis_password").stderr
    (own / "redis_password").write_text("second")
    assert command(tmp_path, "--rotate", "web/redis_password").returncode == 0
    assert len(list((tmp_path / "secrets").glob("*/redis_password.old"))) == 4
    assert command(tmp_path, "--finish", "web/redis_password").returncode == 0

    left = [path.parent.name for path in (tmp_path / "secrets").glob("*/redis_password.old")]
    assert left == ["flower"]


@as_root
def test_a_key_of_several_lines_leaves_no_line_as_an_old_password(tmp_path: Path, own: Path) -> None:
    (own / "signing_key").write_text("-----BEGIN\nabc\n-----END\n")
    secretfiles.make(tmp_path / "secrets", own)
    (own / "signing_key").write_text("-----BEGIN\ndef\n-----END\n")
    assert sorted(secretfiles.make(tmp_path / "secrets", own)) == sorted(f"{role}/signing_key" for role in DJANGO)
    assert (tmp_path / "secrets" / "web" / "signing_key").read_text() == "-----BEGIN\ndef\n-----END"
    assert all("abc" not in path.read_text() for path in (tmp_path / "secrets").glob("*/*.old"))


def test_a_version_that_needs_one_more_makes_it_and_changes_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run" / "secrets"
    secretfiles.make(folder)
    before = {path: path.read_text() for path in folder.glob("*/*")}
    monkeypatch.setitem(secretfiles.FILES, "worker", (*secretfiles.FILES["worker"], "new_password"))
    assert secretfiles.make(folder) == ["worker/new_password"]
    new = folder / "worker" / "new_password"
    assert len(new.read_text()) >= 50
    assert {path: path.read_text() for path in folder.glob("*/*") if path != new} == before


@as_root
def test_in_containers_a_new_one_is_made_beside_the_present_ones(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secrets"
    secretfiles.make(folder, own)
    before = {path: path.read_text() for path in folder.glob("*/*")}
    monkeypatch.setitem(secretfiles.CONTAINER_FILES, "db", (*secretfiles.CONTAINER_FILES["db"], "new_password"))
    assert secretfiles.make(folder, own) == ["db/new_password"]
    new = folder / "db" / "new_password"
    assert (new.stat().st_uid, oct(new.stat().st_mode)[-3:]) == (999, "400")
    assert {path: path.read_text() for path in folder.glob("*/*") if path != new} == before


@as_root
def test_a_secret_of_the_project_that_is_taken_out_is_gone(tmp_path: Path, own: Path) -> None:
    (own / "STRIPE_KEY").write_text("sk")
    (own / "stripe_key").write_text("sk")
    secretfiles.make(tmp_path / "secrets", own)
    assert len(list((tmp_path / "secrets").glob("*/STRIPE_KEY"))) == len(DJANGO)
    (own / "STRIPE_KEY").unlink()
    secretfiles.make(tmp_path / "secrets", own)
    assert not list((tmp_path / "secrets").glob("*/STRIPE_KEY"))
    assert len(list((tmp_path / "secrets").glob("*/stripe_key"))) == len(DJANGO), "named by a variable, or by nobody"


@as_root
def test_a_secret_that_is_added_to_a_running_stack_can_be_rolled_out(tmp_path: Path, own: Path) -> None:
    """As by `docker compose up`, which gives the roles' folders the file, and does not start the roles anew."""
    folder = tmp_path / "secrets"
    (own / "MAPS_KEY").write_text("there from the start")
    secretfiles.make(folder, own)
    assert not list(folder.glob("*/*.old"))

    (own / "STRIPE_KEY").write_text("sk")
    assert command(tmp_path).returncode == 0
    for words in (("--rotate", "web/STRIPE_KEY"), ("--finish", "web/STRIPE_KEY")):
        done = command(tmp_path, *words)
        assert done.returncode == 0, done.stderr
    assert (folder / "web" / "STRIPE_KEY").read_text() == "sk"
    assert "is your own" in command(tmp_path, "--rotate", "web/STRIPE_KEY").stderr
    assert not list(folder.glob("*/*.old"))
