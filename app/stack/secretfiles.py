"""Make the random secrets, once: `python -m stack.secretfiles <folder>`.

One folder a service, so that each service can be given its own and no other. A file that is there is kept.
Redis gets hashes only: `redis/users.acl`, made anew from the passwords each time.
"""

import hashlib
import os
import secrets
import sys
from pathlib import Path

# Each role has the same SECRET_KEY and a Redis password of its own.
FILES = {
    "web": ("secret_key", "redis_password"),
    "worker": ("secret_key", "redis_password"),
    "beat": ("secret_key", "redis_password"),
    "flower": ("redis_password", "flower_password"),
    "redis": ("admin_password",),
}

# What each Redis user may do; nobody but `admin` may flush, reconfigure or list keys.
_RIGHTS = "~* &* +@all -@admin -@dangerous +info"
USERS = {"web": _RIGHTS, "worker": _RIGHTS, "beat": _RIGHTS, "flower": _RIGHTS, "admin": "~* &* +@all"}


def make(folder: Path) -> list[str]:
    """Make what is missing under `folder` (0700, files 0600).

    Returns:
        list of str: the files that were made, as service/name.
    """
    made = []
    shared_key = secrets.token_urlsafe(50)
    for service, names in FILES.items():
        (folder / service).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in names:
            if not (folder / service / name).exists():
                key = next((path.read_text() for path in folder.glob("*/secret_key")), shared_key)
                _write(folder / service / name, key if name == "secret_key" else secrets.token_urlsafe(32))
                made.append(f"{service}/{name}")
    _write(folder / "redis" / "users.acl", acl(folder))
    return made


def acl(folder: Path) -> str:
    """The text of Redis's aclfile for the passwords under `folder`."""
    lines = ["user default off"]
    for user, rights in USERS.items():
        path = folder / "redis" / "admin_password" if user == "admin" else folder / user / "redis_password"
        digest = hashlib.sha256(path.read_text().strip().encode()).hexdigest()
        lines.append(f"user {user} on #{digest} {rights}")
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    # Written aside and renamed, so that a crash leaves no half secret that would be kept for ever.
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    for file in make(Path(sys.argv[1])):
        print(f"made {file}")
