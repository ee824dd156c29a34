"""docker/requirements.py: what a project lists of packages is read, judged and installed on top of the stack's."""

import base64
import hashlib
import json
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from stack.runtime import fitting
from tests.machine import patience

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "docker"))

import conflicts  # noqa: E402

import requirements as packages  # noqa: E402

LOCK = conflicts.locked(PROJECT / "requirements/base.txt")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """An app/ with a project `shop` in it, which has no files yet but its manage.py and settings."""
    folder = tmp_path / "app" / "shop"
    (folder / "shop").mkdir(parents=True)
    (folder / "manage.py").write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n')
    (folder / "shop" / "settings.py").touch()
    return folder


def read(shop: Path, name: str = "requirements.txt") -> packages.Lists:
    lists = packages.Lists(shop.parent, shop.parent.parent / "out")
    (shop.parent.parent / "out").mkdir()
    lists.read(shop / name)
    return lists


def texts(lists: packages.Lists) -> list[str]:
    return [text for text, _ in lists.wanted]


def test_a_list_is_read_with_the_files_that_it_includes(shop: Path) -> None:
    (shop / "requirements").mkdir()
    (shop / "requirements.txt").write_text(
        "--index-url https://packages.example.org/simple  # ours\n"
        "-r requirements/base.txt\n-c requirements/limits.txt\n-e .\n"
        "weasyprint==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
    )
    (shop / "requirements/base.txt").write_text(
        "# all of them\nDjango>=5.2\n\npillow  # images\n--requirement=../more.txt\n"
    )
    (shop / "requirements/limits.txt").write_text("tinycss2<2\n")
    (shop / "more.txt").write_text("lib @ https://example.org/lib.zip#egg=lib\n-r requirements.txt\n")

    lists = read(shop)

    assert texts(lists) == [
        "Django>=5.2",
        "pillow",
        "lib @ https://example.org/lib.zip#egg=lib",
        "weasyprint==1.0 --hash=sha256:aa --hash=sha256:bb",
    ]
    assert lists.wanted[0].place == "shop/requirements/base.txt"
    assert lists.constraints == ["tinycss2<2"]
    assert lists.options == ["--index-url https://packages.example.org/simple"]


def test_the_project_itself_brings_its_dependencies_and_is_not_installed(shop: Path) -> None:
    (shop / "requirements.txt").write_text("-e .[production]\n")
    (shop / "pyproject.toml").write_text(
        '[project]\nname = "shop"\ndependencies = ["pillow"]\n'
        '[project.optional-dependencies]\nproduction = ["boto3>=1"]\ntests = ["pytest"]\n'
    )
    assert texts(read(shop)) == ["pillow", "boto3>=1"]


def test_a_folder_of_the_project_is_taken_along_with_its_extras(shop: Path) -> None:
    (shop / "libs" / "money").mkdir(parents=True)
    (shop / "libs" / "money" / "setup.py").touch()
    (shop / "requirements.txt").write_text("-e ./libs/money[all]\n--find-links libs\n")

    lists = read(shop)

    kept = shop.parent.parent / "out/local/money"
    assert texts(lists) == [f"{kept}[all]"]
    assert (kept / "setup.py").is_file()
    assert lists.options == [f"--find-links {kept.parent / 'libs'}"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pyproject.toml", '[tool.poetry.dependencies]\ndjango = "^5.2"\n', ""),
        ("pyproject.toml", '[tool.poetry]\nname = "shop"\n[tool.poetry.dependencies]\ndependencies = 1\n', ""),
        (
            "pyproject.toml",
            '[project]\nname = "shop"\ndynamic = ["dependencies"]\n',
            "shop/pyproject.toml leaves its packages to a tool. Beside it: pip-compile",
        ),
        ("requirements.txt", "-r gone.txt\n", "shop/gone.txt is not there"),
        ("requirements.txt", "./libs/gone\n", "./libs/gone is not there"),
        ("requirements.txt", "-r https://example.org/all.txt\n", "Copy that file"),
    ],
)
def test_a_list_that_cannot_be_read_says_what_to_do(shop: Path, name: str, text: str, said: str) -> None:
    (shop / name).write_text(text)
    with pytest.raises(packages.Stop, match=said or "poetry export --without-hashes"):
        read(shop, name)


def test_a_pyproject_with_the_settings_of_tools_alone_lists_nothing(shop: Path) -> None:
    (shop / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert texts(read(shop, "pyproject.toml")) == []


@pytest.mark.parametrize(
    ("line", "needs"),
    [
        ("celery==5.4.0", "the stack needs celery<5.8,>=5.7. Take celery==5.7.0 there"),
        ("celery[redis]~=5.6.0", "the stack needs celery<5.8,>=5.7"),
        ("kombu<5.6", "the stack needs kombu<5.8,>=5.7"),
        ("redis==5.0.1", "the stack needs redis<9,>=6.4"),
        ("billiard==3.6.4.0", "celery 5.7.0 needs billiard>=4.3.2"),
        ("Django~=4.2.0", "the stack needs django"),
        ("flower<2", "the stack needs flower"),
        ("gunicorn==23.0.0", "the stack needs gunicorn"),
        ("click==8.1.7", "celery 5.7.0 needs click"),
    ],
)
def test_a_pin_that_fights_the_stack_s_names_both_and_what_to_take(line: str, needs: str) -> None:
    wanted = [conflicts.Wanted(line, "shop/requirements.txt"), conflicts.Wanted("pillow", "shop/requirements.txt")]

    found = conflicts.fights(wanted, packages.stacks(), LOCK)

    assert len([text for text in found if needs in text]) == 1, found
    assert all(text.startswith(f"shop/requirements.txt asks for {line[:5]}") for text in found)


@pytest.mark.parametrize(
    "line",
    [
        "Django",
        "Django==5.2.1",
        "Django>=4.2,<6",
        "celery>=5.3",
        "celery[redis,msgpack]==5.7.0 --hash=sha256:aa",
        "kombu~=5.7",
        "redis==7.1.0",
        "celery==5.4.0 ; python_version < '3'",
        "celery @ https://example.org/celery.zip",
        "asgiref==3.9.1",
    ],
)
def test_a_pin_within_the_stack_s_ranges_is_the_project_s_to_choose(line: str) -> None:
    assert conflicts.fights([conflicts.Wanted(line, "shop/requirements.txt")], packages.stacks(), LOCK) == []


def test_the_ranges_of_redis_s_client_are_those_of_the_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start a role refuses what is outside of them."""
    real = metadata.version
    for text in packages.CLIENT:
        name, _, below = text.replace(">=", " ").replace(",<", " ").partition(" ")
        least, last = below.split()
        for version, fits in ((least, True), (last, False)):
            monkeypatch.setattr(metadata, "version", lambda asked, n=name, v=version: v if asked == n else real(asked))
            assert (fitting.versions() == []) is fits, (name, version)


def test_the_lock_is_the_one_whose_django_the_project_takes(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("django==5.2.9 \\\n    --hash=sha256:aa\n")
    (tmp_path / "django60.txt").write_text("django==6.0.1\n")
    for line, name in (
        ("Django>=6,<6.1", "django60"),
        ("django", "base"),
        ("Django==5.2.1", "base"),
        ("pillow", "base"),
    ):
        assert conflicts.lock_for([conflicts.Wanted(line, "")], tmp_path) == tmp_path / f"{name}.txt", line


# ---- With an installer --------------------------------------------------------------------------


def wheel(folder: Path, name: str, needs: str = "") -> str:
    """Make a package of one module, version 1.0, and return its hash."""
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + (f"Requires-Dist: {needs}\n" if needs else "")
    files = {
        f"{name}.py": "",
        f"{name}-1.0.dist-info/METADATA": about,
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{name}-1.0.dist-info/RECORD"
    hashes = {
        path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        for path, text in files.items()
    }
    files[record] = (
        "".join(f"{path},sha256={word},{len(files[path])}\n" for path, word in hashes.items()) + f"{record},,\n"
    )
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An environment of its own that sees all that is locked, as it is after the first step."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (inner,) = (tmp_path / "venv").glob("lib/python3*/site-packages")
    (inner / "locked.pth").write_text(sysconfig.get_path("purelib"))
    return tmp_path / "venv/bin/python"


def installed(python: Path, shop: Path) -> subprocess.CompletedProcess[str]:
    """Both steps, as deploy/venv.sh takes them, without an index."""
    script, out = PROJECT / "docker/requirements.py", shop.parent.parent / "out"
    for name in ("stack", "project.env"):
        if not (shop.parent / name).exists() and (PROJECT / "app" / name).exists():
            (shop.parent / name).symlink_to(PROJECT / "app" / name)
    env = {"PIP_NO_INDEX": "1", "PATH": "/usr/bin:/bin"}
    for step in (["read", shop.parent, out], ["install", out]):
        done = subprocess.run(
            [python, script, *step], capture_output=True, text=True, timeout=patience(60), env=env, check=False
        )
        if done.returncode:
            break
    return done


def test_a_hashed_list_is_installed_and_a_changed_file_is_not(python: Path, shop: Path) -> None:
    digest = wheel(shop / "wheels", "lib")
    line = "--find-links wheels\nlib==1.0 --hash=sha256:{}\n"

    (shop / "requirements.txt").write_text(line.format("0" * 64))
    refused = installed(python, shop)
    (shop / "requirements.txt").write_text(line.format(digest))
    done = installed(python, shop)

    assert refused.returncode == 1
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert subprocess.run([python, "-c", "import lib"], check=False).returncode == 0


def test_what_a_package_of_the_project_needs_of_the_stack_s_is_held(python: Path, shop: Path) -> None:
    wheel(shop / "wheels", "old", needs="celery<5.5")
    (shop / "requirements.txt").write_text("-f wheels\nold\n")

    done = installed(python, shop)

    assert done.returncode == 1
    assert "old 1.0 depends on celery<5.5" in done.stdout + done.stderr
    assert "take the stack's: celery[redis]>=5.7,<5.8" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_project_without_a_list_installs_nothing(python: Path, shop: Path) -> None:
    done = installed(python, shop)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    out = shop.parent.parent / "out"
    assert json.loads((out / "wanted.json").read_text())["wanted"] == []
    assert conflicts.locked(out / "lock.txt") == LOCK
