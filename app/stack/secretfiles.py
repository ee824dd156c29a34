"""Make the random secrets, once: `python -m stack.secretfiles <folder> [--containers <own>]`.

One folder a service, so that each service can be given its own and no other. A file that is there is kept.
Redis gets hashes only: `redis/users.acl`, made anew from the passwords each time.

--containers <own>        for compose: files 0400 of the user who reads them; a file of <own> wins over a random one
--rotate <service/name>   a new one in place of this one; Redis goes on taking the old password too
--finish                  Redis takes the new password only
"""

import argparse
import hashlib
import os
import secrets
from pathlib import Path

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

# What each Redis user may do; nobody but `admin` may flush, reconfigure or list keys.
_RIGHTS = "~* &* +@all -@admin -@dangerous +info"
USERS = {"web": _RIGHTS, "worker": _RIGHTS, "beat": _RIGHTS, "flower": _RIGHTS, "admin": "~* &* +@all"}


def make(folder: Path, own: Path | None = None) -> list[str]:
    """Make what is missing under `folder`: folders 0700 and files 0600 of the caller's, for a machine.

    Args:
        folder: where the secrets are or will be.
        own: for containers: a folder of secrets that the operator chose, laid out the same way. Folders are
            then 0500 and files 0400, of the user of the service.

    Returns:
        list of str: the files that were made or replaced, as service/name.
    """
    made = []
    wanted = FILES if own is None else CONTAINER_FILES
    chosen = {} if own is None else {f"{file.parent.name}/{file.name}": file for file in own.glob("*/[!.]*")}
    for service in wanted:
        (folder / service).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in dict.fromkeys([f"{service}/{name}" for service, names in wanted.items() for name in names] + [*chosen]):
        path = folder / name
        ours = [file for key, file in chosen.items() if key == name or (file.name in SHARED and file.name == path.name)]
        text = _read(ours[0]) if ours else _read(path) or _shared(folder, path.name) or secrets.token_urlsafe(50)
        if text != _read(path):
            _write(path, text)
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
    path = folder / name
    places = sorted(folder.glob(f"*/{path.name}")) if path.name in SHARED else [path]
    if path.name in ("redis_password", "admin_password"):
        _write(path.with_suffix(".old"), path.read_text())
    new = secrets.token_urlsafe(50)
    for place in places:
        _write(place, new)
    return [f"{place.parent.name}/{place.name}" for place in places]


def listed(folder: Path) -> list[str]:
    """Every secret under `folder`, as service/name."""
    files = [path for path in sorted(folder.glob("*/*")) if path.suffix not in (".acl", ".old", ".new")]
    return [f"{path.parent.name}/{path.name}" for path in files]


def acl(folder: Path) -> str:
    """The text of Redis's aclfile for the passwords under `folder`."""
    lines = ["user default off"]
    for user, rights in USERS.items():
        path = folder / "redis" / "admin_password" if user == "admin" else folder / user / "redis_password"
        passwords = [text for text in (_read(path), _read(path.with_suffix(".old"))) if text]
        hashes = " ".join("#" + hashlib.sha256(text.encode()).hexdigest() for text in passwords)
        lines.append(f"user {user} on {hashes} {rights}")
    return "\n".join(lines) + "\n"


def _shared(folder: Path, name: str) -> str | None:
    """The value that another service has for a secret that is the same for all."""
    return next(map(_read, sorted(folder.glob(f"*/{name}"))), None) if name in SHARED else None


def _read(path: Path) -> str | None:
    return path.read_text().strip() if path.exists() else None


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
    parser.add_argument("folder", type=Path)
    parser.add_argument("--containers", type=Path, metavar="own")
    parser.add_argument("--rotate", metavar="service/name")
    parser.add_argument("--finish", action="store_true")
    options = parser.parse_args()
    try:
        replaced = rotate(options.folder, options.rotate) if options.rotate else []
    except ValueError as error:
        parser.error(str(error))
    if options.finish:
        for path in options.folder.glob("*/*.old"):
            path.unlink()
    for file in replaced + make(options.folder, options.containers):
        print(f"made {file}")


if __name__ == "__main__":
    main()
