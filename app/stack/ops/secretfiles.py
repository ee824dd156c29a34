"""Make the random secrets, once: `python -m stack.ops.secretfiles <folder> [--containers <own>]`.

One folder a service, so that each service can be given its own and no other. A file that is there is kept.
Redis gets hashes only: `redis/users.acl`, made anew from the passwords each time.

--containers <own>        for compose: files 0400 of the user who reads them; a file of <own> wins over a random one
--rotate <service/name>   a new one in place of this one; Redis goes on taking the old passwords too
--finish <service/name>   Redis takes the new one only
--list                    the names of all secrets

`python -m stack.ops.secretfiles --cluster-acl` prints k8s/base/users.acl.
"""

import argparse
import hashlib
import os
import secrets
import sys
from pathlib import Path

from stack.broker import rights

# Each role has the same SECRET_KEY and a Redis password of its own.
FILES = {
    "web": ("secret_key", "redis_password"),
    "worker": ("secret_key", "redis_password"),
    "beat": ("secret_key", "redis_password"),
    "flower": ("redis_password", "flower_password"),
    "redis": ("admin_password",),
}
# In containers, PostgreSQL too: its superuser's password, and that of the user who owns the project's tables.
CONTAINER_FILES = FILES | {
    "web": (*FILES["web"], "database_password"),
    "worker": (*FILES["worker"], "database_password"),
    "db": ("postgres_password", "database_password"),
}
SHARED = ("secret_key", "database_password")
# The users of the images: ours, and that of both official ones.
OWNERS = {"redis": 999, "db": 999}
APP = 10001


def make(folder: Path, own: Path | None = None) -> list[str]:
    """Make what is missing under `folder`: folders 0700 and files 0600 of the caller's, for a machine.

    Args:
        folder: where the secrets are or will be.
        own: for containers: a folder of secrets that the operator chose, laid out the same way. Folders are
            then 0500 and files 0400, of the user of the service.

    Returns:
        list of str: the files that were made or replaced, as service/name.

    Raises:
        ValueError: `own` has a file for a service that there is not.
    """
    made = []
    wanted = FILES if own is None else CONTAINER_FILES
    chosen = {} if own is None else {f"{file.parent.name}/{file.name}": file for file in own.glob("*/[!.]*")}
    if strangers := [name for name in sorted(chosen) if name.partition("/")[0] not in wanted]:
        raise ValueError(
            f"docker/secrets/{strangers[0]} is of no service: the folder must be one of {', '.join(wanted)}"
        )
    # One by one: `parents` gives the mode to the last one only.
    for place in (folder.parent, folder, *(folder / service for service in wanted)):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in dict.fromkeys([f"{service}/{name}" for service, names in wanted.items() for name in names] + [*chosen]):
        path = folder / name
        ours = [file for key, file in chosen.items() if key == name or (file.name in SHARED and file.name == path.name)]
        known = (_read(ours[0]) if ours else None) or _read(path) or _shared(folder, path.name)
        text = known or secrets.token_urlsafe(50)
        if text != _read(path):
            _replace(path, text)
            made.append(name)
    _write(folder / "redis" / "users.acl", acl(folder))
    if own is not None:
        _hand_over(folder)
    return made


def rotate(folder: Path, name: str) -> list[str]:
    """Put a new random secret in place of `name` (service/name), wherever the same secret lies.

    Returns:
        list of str: the files that were replaced.

    Raises:
        ValueError: there is no such secret.
    """
    if not (folder / name).is_file() or name.endswith((".acl", ".old")) or name.count("/") != 1:
        raise ValueError(f"there is no secret {name!r}; there are: {', '.join(listed(folder))}")
    new = secrets.token_urlsafe(50)
    for place in (places := _places(folder, name)):
        _replace(place, new)
    return [f"{place.parent.name}/{place.name}" for place in places]


def _places(folder: Path, name: str) -> list[Path]:
    """Every file that holds the same secret as `name`."""
    path = folder / name
    return sorted(folder.glob(f"*/{path.name}")) if path.name in SHARED else [path]


def _own(chosen: Path, name: str) -> Path | None:
    """The operator's own file for the secret `name`, in whose folder ever where the secret is the same for all."""
    shared = sorted(chosen.glob(f"*/{Path(name).name}")) if Path(name).name in SHARED else []
    return next((file for file in (chosen / name, *shared) if file.exists()), None)


def listed(folder: Path) -> list[str]:
    """Every secret under `folder`, as service/name."""
    files = [path for path in sorted(folder.glob("*/*")) if path.suffix not in (".acl", ".old", ".new")]
    return [f"{path.parent.name}/{path.name}" for path in files]


def acl(folder: Path) -> str:
    """The text of Redis's aclfile for the passwords under `folder`."""
    lines = [rights.DEFAULT]
    for user in rights.USERS:
        path = folder / "redis" / "admin_password" if user == "admin" else folder / user / "redis_password"
        passwords = [text for text in (_read(path), *_old(path)) if text]
        hashes = " ".join("#" + hashlib.sha256(text.encode()).hexdigest() for text in passwords)
        lines.append(f"user {user} on {hashes} {rights.line(user)}")
    return "\n".join(lines) + "\n"


def cluster_acl() -> str:
    """The text of k8s/base/users.acl: <name> stands where the pod of Redis puts the hash of that secret."""
    lines = [f"user {user} on <{user}_redis_password> {rights.line(user)}" for user in rights.CLUSTER_USERS]
    return "\n".join([rights.DEFAULT, *lines]) + "\n"


def _shared(folder: Path, name: str) -> str | None:
    """The value that another service has for a secret that is the same for all."""
    return next(map(_read, sorted(folder.glob(f"*/{name}"))), None) if name in SHARED else None


def _read(path: Path) -> str | None:
    return path.read_text().strip() if path.exists() else None


def _old(path: Path) -> list[str]:
    """Every value since the last `--finish`; a rotation that was broken off and begun again leaves several."""
    return (_read(_aside(path)) or "").splitlines()


def _aside(path: Path) -> Path:
    """Where a secret's old values are while it is rotated."""
    return path.with_name(path.name + ".old")


def _replace(path: Path, text: str) -> None:
    """A new value; Redis takes the old ones too until `--finish`, so that nobody is locked out meanwhile.

    For every secret they also say that its rotation has begun and was not finished.
    """
    if known := _read(path):
        _write(_aside(path), "\n".join([*_old(path), known]))
    _write(path, text)


def _write(path: Path, text: str) -> None:
    # Written aside and renamed, so that a crash leaves no half secret that would be kept for ever.
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)


def _hand_over(folder: Path) -> None:
    """Give each service's folder to the user who reads it; needs root with CHOWN, which is why the mode goes first."""
    for path in sorted(folder.glob("*/*")) + sorted(folder.glob("*")):
        service = path.name if path.is_dir() else path.parent.name
        owner = OWNERS.get(service, APP)
        if path.stat().st_uid != owner:
            path.chmod(0o500 if path.is_dir() else 0o400)
            os.chown(path, owner, owner)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--cluster-acl", action="store_true")
    parser.add_argument("--containers", type=Path, metavar="own")
    parser.add_argument("--rotate", metavar="service/name")
    parser.add_argument("--finish", metavar="service/name")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.cluster_acl:
        print(cluster_acl(), end="")
        return
    if options.folder is None:
        parser.error("the following arguments are required: folder")
    if options.list:
        print("\n".join(listed(options.folder)))
        return
    try:
        replaced: list[str] = []
        own = _own(options.containers, options.rotate) if options.containers and options.rotate else None
        begun = options.rotate and _old(options.folder / options.rotate)
        if own and not begun and _read(own) == _read(options.folder / options.rotate):
            raise ValueError(
                f"{options.rotate} is your own: change docker/secrets/{own.relative_to(options.containers)} first"
            )
        if options.rotate and not own:
            replaced = rotate(options.folder, options.rotate)
        if options.finish:
            for path in _places(options.folder, options.finish):
                _aside(path).unlink(missing_ok=True)
        for file in replaced + make(options.folder, options.containers):
            print(f"made {file}")
    except ValueError as error:
        sys.exit(f"secrets: {error}")


if __name__ == "__main__":
    main()
