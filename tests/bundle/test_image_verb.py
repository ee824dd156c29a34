"""What `make image` refuses before it asks an engine, and the commit that it labels the image with."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.supervisor import CHECKOUT


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("TAG=", "TAG is empty: give it a value, or leave it out"),
        ("TAG=1/2", "TAG='1/2' is no tag: "),
        ("TAG=1.2.3+local", "TAG='1.2.3+local' is no tag: "),
        ("TAG=-1", "TAG='-1' is no tag: "),
        ("TAG=1_", "TAG='1_' is no tag: "),
        (f"TAG={'a' * 64}", f"TAG='{'a' * 64}' is no tag: "),
        (f"TAG={'a' * 63}", "(there is no docker here)"),
        ("REGISTRY=", "REGISTRY is empty: "),
        ("REGISTRY=https://registry.example.com", "REGISTRY='https://registry.example.com': leave https:// out"),
        ("REGISTRY=registry.example.com/Team", "is no place for an image: lower case, as in "),
        ("REGISTRY=registry.example.com/team:1", "is no place for an image: "),
        ("TARGET=supervisor", "TARGET is k8s or compose, not 'supervisor'"),
        ("TAG=1.2.3", "make image needs a Docker engine: install Docker, or start it (there is no docker here)"),
        ("REGISTRY=registry.example.com:5000/a-team/b_c/", "(there is no docker here)"),
        ("REGISTRY=somebody", "(there is no docker here)"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(tmp_path: Path, variable: str, said: str) -> None:
    (tmp_path / "python3").symlink_to(os.path.realpath(sys.executable))
    for name in ("git", "sed", "grep", "awk", "tr", "cat", "sh"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    make = [str(shutil.which("make")), "image", variable]
    done = subprocess.run(
        make, cwd=CHECKOUT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_commit_is_dirty_where_the_image_holds_what_it_has_not(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        me = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        return subprocess.check_output(["git", *me, *words], cwd=tmp_path, text=True).strip()

    def revision() -> str:
        mk = CHECKOUT / "docker" / "compose.mk"
        make = ["make", "-s", "-f", mk, "--eval", "show: ; @echo $(REVISION)", "show"]
        done = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, check=True, env=os.environ | alone)
        return done.stdout.strip()

    alone = {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    assert revision() == "", "no git, no commit"
    (tmp_path / "app").mkdir()
    file = tmp_path / "app" / "views.py"
    file.write_text("one\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    assert revision() == commit
    (tmp_path / "notes").write_text("not in the image\n")
    assert revision() == commit
    (tmp_path / "app" / "new.py").write_text("in the image, and unknown to git\n")
    assert revision() == f"{commit}-dirty"
    (tmp_path / "app" / "new.py").unlink()
    file.write_text("two\n")
    assert revision() == f"{commit}-dirty"
