"""The folders of secrets: what lies where, making what is missing, rotating one."""

import os
import secrets
from pathlib import Path

from stack.ops.secretfiles.acl import acl, cache_acl
from stack.ops.secretfiles.files import aside, old, read, replace, write
from stack.runtime.projectenv import is_variable

# Each role has the same SECRET_KEY and a Redis password of its own.
FILES = {
    "web": ("secret_key", "redis_password"),
    "worker": ("secret_key", "redis_password"),
    "beat": ("secret_key", "redis_password"),
    "flower": ("redis_password", "flower_password"),
    "redis": ("admin_password",),
}
DJANGO = ("web", "worker", "beat")
# In containers, PostgreSQL too: its superuser's password, and that of the user who owns the project's tables. And the
# cache's, which is there whether the cache runs or not.
CONTAINER_FILES = FILES | {
    "web": (*FILES["web"], "database_password", "cache_password"),
    "worker": (*FILES["worker"], "database_password", "cache_password"),
    "beat": (*FILES["beat"], "database_password", "cache_password"),
    "db": ("postgres_password", "database_password"),
    "cache": ("cache_password",),
}
SHARED = ("secret_key", "database_password", "cache_password")
# Not for a file that goes to each Django role: these are one service's alone.
ALONE = {"api_token": "web", "flower_password": "flower", "admin_password": "redis", "postgres_password": "db"}
# The users of the images: ours, and that of both official ones.
OWNERS = {"redis": 999, "db": 999, "cache": 999}
APP = 10001


def make(folder: Path, own: Path | None = None) -> list[str]:
    """Make what is missing under `folder`: folders 0700 and files 0600 of the caller's, for a machine.

    Args:
        folder: where the secrets are or will be.
        own: for containers: a folder of secrets that the operator chose, laid out the same way; a file at its top
            goes to each Django role. Folders are then 0500 and files 0400, of the user of the service.

    Returns:
        list of str: the files that were made or replaced, as service/name.

    Raises:
        ValueError: `own` has a file for a service that there is not, or one at its top that is one service's alone.
    """
    made = []
    wanted = FILES if own is None else CONTAINER_FILES
    chosen = {} if own is None else _chosen(own)
    first = not (folder / "web" / "secret_key").exists()
    # One by one: `parents` gives the mode to the last one only.
    for place in (folder.parent, folder, *(folder / service for service in wanted)):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in dict.fromkeys([f"{service}/{name}" for service, names in wanted.items() for name in names] + [*chosen]):
        path = folder / name
        ours = [file for key, file in chosen.items() if key == name or (file.name in SHARED and file.name == path.name)]
        known = (read(ours[0]) if ours else None) or read(path) or _shared(folder, path.name)
        text = known or secrets.token_urlsafe(50)
        if text != read(path):
            if not first and not path.exists() and path.name not in wanted[path.parent.name]:
                # One of the project's own. Roles may run that were started without it, so its rotation has begun.
                write(aside(path), "none")
            replace(path, text)
            made.append(name)
    write(folder / "redis" / "users.acl", acl(folder))
    if own is not None:
        _forget(folder, chosen)
        write(folder / "cache" / "users.acl", cache_acl(folder))
        _hand_over(folder)
    return made


def _forget(folder: Path, chosen: dict[str, Path]) -> None:
    """Take away the project's secrets that the operator took out: each file of a variable's name is that variable."""
    for role in DJANGO:
        for path in (folder / role).iterdir():
            name = path.name.removesuffix(".old")
            if is_variable(name) and f"{role}/{name}" not in chosen:
                path.unlink()


def _chosen(own: Path) -> dict[str, Path]:
    """The operator's files by the place to which they go, as service/name; one in a service's folder comes first."""
    found = {f"{file.parent.name}/{file.name}": file for file in sorted(own.glob("*/[!.]*"))}
    if strangers := [name for name in found if name.partition("/")[0] not in CONTAINER_FILES]:
        raise ValueError(
            f"docker/secrets/{strangers[0]} is of no service: the folder must be one of {', '.join(CONTAINER_FILES)}; "
            "a file for each Django role lies in docker/secrets itself"
        )
    for file in sorted(path for path in own.glob("[!.]*") if path.is_file()):
        if service := ALONE.get(file.name):
            raise ValueError(f"docker/secrets/{file.name} is for {service} alone: move it to docker/secrets/{service}/")
        for role in DJANGO:
            found.setdefault(f"{role}/{file.name}", file)
    return found


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
    for place in (found := places(folder, name)):
        replace(place, new)
    return [f"{place.parent.name}/{place.name}" for place in found]


def finish(folder: Path, name: str, chosen: Path | None = None) -> None:
    """End the rotation of `name`: forget its old values, wherever the same secret lies."""
    paths = places(folder, name)
    if chosen and operators(chosen, name) == chosen / Path(name).name:
        paths = [folder / role / Path(name).name for role in DJANGO]
    for path in paths:
        aside(path).unlink(missing_ok=True)


def places(folder: Path, name: str) -> list[Path]:
    """Every file that holds the same secret as `name`."""
    path = folder / name
    return sorted(folder.glob(f"*/{path.name}")) if path.name in SHARED else [path]


def operators(chosen: Path, name: str) -> Path | None:
    """The operator's own file for the secret `name`, in whose folder ever where the secret is the same for all."""
    shared = sorted(chosen.glob(f"*/{Path(name).name}")) if Path(name).name in SHARED else []
    everywhere = [chosen / Path(name).name] if name.partition("/")[0] in DJANGO else []
    return next((file for file in (chosen / name, *shared, *everywhere) if file.is_file()), None)


def is_kept(folder: Path, chosen: Path, name: str) -> Path | None:
    """The operator's own file for `name` where it holds what is in use already, so that nothing is to be rotated."""
    own = operators(chosen, name)
    begun = old(folder / name)
    return own if own and not begun and read(own) == read(folder / name) else None


def listed(folder: Path) -> list[str]:
    """Every secret under `folder`, as service/name."""
    files = [path for path in sorted(folder.glob("*/*")) if path.suffix not in (".acl", ".old", ".new")]
    return [f"{path.parent.name}/{path.name}" for path in files]


def _shared(folder: Path, name: str) -> str | None:
    """The value that another service has for a secret that is the same for all."""
    return next(map(read, sorted(folder.glob(f"*/{name}"))), None) if name in SHARED else None


def _hand_over(folder: Path) -> None:
    """Give each service's folder to the user who reads it; needs root with CHOWN, which is why the mode goes first."""
    for path in sorted(folder.glob("*/*")) + sorted(folder.glob("*")):
        service = path.name if path.is_dir() else path.parent.name
        owner = OWNERS.get(service, APP)
        if path.stat().st_uid != owner:
            path.chmod(0o500 if path.is_dir() else 0o400)
            os.chown(path, owner, owner)
