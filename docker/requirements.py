"""The project's own packages, on top of the stack's locked ones; for the image and for deploy/venv.sh.

python docker/requirements.py read app OUT         what the project lists, and the stack's lock that fits it, into OUT
python docker/requirements.py install OUT [--uv]   into the environment of this Python, by its pip or by uv

Two steps, because the image reads before there is an environment: only a changed list installs anything anew.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from conflicts import Wanted, fights, lock_for, locked
from unbuilt import unbuilt

STACK = Path(__file__).resolve().parents[1]
# What pyproject.toml leaves to Celery, and stack/runtime/fitting.py asks for at the start of each role.
CLIENT = ("kombu>=5.7,<5.8", "redis>=6.4,<9")
INCLUDE = re.compile(r"(-r|--requirement|-c|--constraint)(?:\s+|=)\s*(\S+)")
LOCAL_OPTION = re.compile(r"(-f|--find-links)(?:\s+|=)\s*(\S+)")


class Stop(Exception):
    """The packages cannot be installed; the text says what to change."""


class Lists:
    """What a project's files list, with the files that they include."""

    def __init__(self, app: Path, out: Path):
        self.app, self.out = app, out
        self.wanted: list[Wanted] = []
        self.constraints: list[str] = []
        self.options: list[str] = []
        self._seen: set[Path] = set()

    def read(self, file: Path, constrain: bool = False) -> None:
        """Take what a requirements file or a pyproject.toml lists.

        Raises:
            Stop: it cannot be read, or says what only another tool understands.
        """
        file = file.resolve()
        if file in self._seen:
            return
        self._seen.add(file)
        if not file.is_file():
            raise Stop(f"{self._name(file)} is not there, and the project's list of packages names it.")
        if file.suffix == ".toml":
            self._pyproject(file)
            return
        for line in re.sub(r"\\\r?\n", " ", file.read_text(encoding="utf-8-sig")).splitlines():
            if text := re.sub(r"(^|\s)#.*", "", line).strip():
                self._line(" ".join(text.split()), file, constrain)

    def _line(self, text: str, file: Path, constrain: bool) -> None:
        if found := INCLUDE.fullmatch(text):
            if "://" in found[2]:
                raise Stop(f"{self._name(file)}: {text} is not on this machine. Copy that file beside it.")
            self.read(file.parent / found[2], constrain or found[1] in ("-c", "--constraint"))
        elif constrain:
            self.constraints.append(text)
        elif found := LOCAL_OPTION.fullmatch(text):
            folder = file.parent / found[2]
            self.options.append(f"{found[1]} {self._copy(folder)}" if folder.exists() else text)
        elif text.startswith("-") and not (found := re.match(r"(-e|--editable)(?:\s+|=)\s*", text)):
            self.options.append(text)
        else:
            self._package(text.removeprefix(found[0]) if found else text, file)

    def _package(self, text: str, file: Path) -> None:
        path, _, extras = text.partition(" ")[0].partition("[")
        place = file.parent / path
        if "://" in path or not (path.startswith((".", "/")) or re.search(r"\.(whl|zip|tar\.gz)$", path)):
            self.wanted.append(Wanted(text, self._name(file)))
        elif not place.exists():
            raise Stop(f"{self._name(file)}: {text} is not there.")
        elif place.is_dir() and (place.resolve() == self.app or file.is_relative_to(place.resolve())):
            # The project itself, which is not installed: its folder is on Python's path.
            if (place / "pyproject.toml").is_file():
                self._pyproject((place / "pyproject.toml").resolve(), extras.rstrip("]").split(","))
        else:
            self.wanted.append(Wanted(f"{self._copy(place)}{'[' * bool(extras)}{extras}", self._name(file)))

    def _pyproject(self, file: Path, extras: list[str] | None = None) -> None:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        mine, name = data.get("project", {}), self._name(file)
        from stack.runtime.packages import left_to_a_tool

        if todo := left_to_a_tool(data):
            raise Stop(f"{name} leaves its packages to a tool. Beside it: {todo}")
        listed = [*mine.get("dependencies", ())]
        for extra in extras or ():
            listed += mine.get("optional-dependencies", {}).get(extra.strip(), ())
        self.wanted += [Wanted(text, name) for text in listed]

    def _copy(self, path: Path) -> Path:
        """A file or folder that a list names, where the step that installs finds it."""
        kept = self.out / "local" / path.resolve().name
        if path.is_dir():
            shutil.copytree(path, kept, dirs_exist_ok=True)
        else:
            kept.parent.mkdir(exist_ok=True)
            shutil.copy(path, kept)
        return kept

    def _name(self, file: Path) -> str:
        return str(file.relative_to(self.app)) if file.is_relative_to(self.app) else str(file)


def read(app: Path, out: Path) -> None:
    """Write into the folder `out`: lock.txt, the stack's lock; wanted.json, the project's list.

    Raises:
        Stop: the project's list cannot be read.
    """
    app = app.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    lists = Lists(app, out.resolve())
    if file := listed_in(app):
        lists.read(file)
    lock = lock_for(lists.wanted, STACK / "requirements")
    if lock.stem.startswith("django6") and sys.version_info < (3, 12):
        raise Stop(
            f"The project asks for Django 6, which needs Python 3.12 or newer, and this is {sys.version.split()[0]}. "
            "Name another: make up PYTHON=/path/to/python3.13, or for the image PYTHON_VERSION=3.13 in .env."
        )
    shutil.copy(lock, out / "lock.txt")
    about = {"wanted": lists.wanted, "constraints": lists.constraints, "options": lists.options}
    (out / "wanted.json").write_text(json.dumps(about | {"stack": stacks()}, indent=1))


def listed_in(app: Path) -> Path | None:
    """The file that lists the project's packages: PROJECT_REQUIREMENTS, or found by convention.

    Raises:
        Stop: there is no project, or there are several, or only another tool reads its list.
    """
    sys.path.insert(0, str(app))
    from stack.runtime.env import BadValue, environment
    from stack.runtime.packages import unread
    from stack.runtime.project import project

    try:
        found = project(environment(), str(app))
    except BadValue as reason:
        raise Stop(str(reason)) from None
    if why := unread(found, str(app)):
        raise Stop(why)
    return Path(found.requirements) if found.requirements else None


def stacks() -> list[str]:
    """The ranges that the stack's promises need."""
    project = tomllib.loads((STACK / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *CLIENT]


def install(out: Path, uv: bool) -> None:
    """Install what `read` found on top of the locked packages, which are there.

    Raises:
        Stop: a line fights one of the stack's packages, or the installer failed.
    """
    about = json.loads((out / "wanted.json").read_text())
    wanted, stack = [Wanted(*pair) for pair in about["wanted"]], about["stack"]
    if not wanted:
        return
    lock = locked(out / "lock.txt")
    if found := fights(wanted, stack, lock):
        raise Stop("\n".join(found))
    program = ["uv", "pip"] if uv else [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    here = ["--python", sys.executable] if uv else []
    with tempfile.TemporaryDirectory() as folder:
        lines = [text for text, _ in wanted]
        (project := Path(folder, "project.txt")).write_text("\n".join([*about["options"], *lines, ""]))
        (limits := Path(folder, "constraints.txt")).write_text("\n".join([*about["constraints"], ""]))
        (ranges := Path(folder, "stack.txt")).write_text("\n".join([*stack, ""]))
        if any("--hash=" in line for line in lines):
            # Such a list names everything; the check below finds what it does not.
            how = ["--require-hashes", "--no-deps"]
        else:
            how = ["-r", str(ranges), "-c", str(limits)]
        command = [*program, "install", *here, *["--compile-bytecode"][: int(uv)], *how, "-r", str(project)]
        print(f"installing the {len(lines)} packages that the project lists ...", flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            # All of it: which package wants what is no error to pip, but news.
            print(done.stdout, file=sys.stderr)
            if todo := unbuilt(done.stdout, image=uv):
                raise Stop(f"The project's packages were not installed. {todo}")
            raise Stop(f"The project's packages were not installed. Of these, take the stack's: {', '.join(stack)}.")
    done = subprocess.run([*program, "check", *here], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        raise Stop(f"The project's packages do not fit together. Of these, take the stack's: {', '.join(stack)}.")


def main(arguments: list[str]) -> None:
    match arguments:
        case ["read", app, out]:
            read(Path(app), Path(out))
        case ["install", out, *rest] if rest in ([], ["--uv"]):
            install(Path(out), uv=bool(rest))
        case _:
            raise Stop(__doc__ or "")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Stop as reason:
        sys.exit(f"requirements: {reason}")
