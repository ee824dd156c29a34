"""The users of Redis and of the cache as an aclfile has them: a server is given hashes and no password."""

import hashlib
from pathlib import Path

from stack.broker import rights
from stack.ops.secretfiles.files import old, read

# The one user of the cache. It holds nothing that outlives it, so all roles share it. It may do what a cache is for, in
# which Lua and KEYS are; it may neither configure the server nor make users. LOAD reads its file again, as it is.
CACHE = "user default on {} ~* &* +@all -@admin -@dangerous +keys +flushdb +flushall +info +acl|load"


def acl(folder: Path) -> str:
    """The text of Redis's aclfile for the passwords under `folder`."""
    lines = [rights.DEFAULT]
    for user in rights.USERS:
        path = folder / "redis" / "admin_password" if user == "admin" else folder / user / "redis_password"
        lines.append(f"user {user} on {_hashes(path)} {rights.line(user)}")
    return "\n".join(lines) + "\n"


def cache_acl(folder: Path) -> str:
    """The text of the cache's aclfile for its password under `folder`."""
    return CACHE.format(_hashes(folder / "cache" / "cache_password")) + "\n"


def cluster_acl() -> str:
    """The text of k8s/base/users.acl: <name> stands where the pod of Redis puts the hash of that secret."""
    lines = [f"user {user} on <{user}_redis_password> {rights.line(user)}" for user in rights.CLUSTER_USERS]
    return "\n".join([rights.DEFAULT, *lines]) + "\n"


def cluster_cache_acl() -> str:
    """The text of k8s/components/cache/users.acl, in the same form."""
    return CACHE.format("<cache_password>") + "\n"


def _hashes(path: Path) -> str:
    passwords = [text for text in (read(path), *old(path)) if text]
    return " ".join("#" + hashlib.sha256(text.encode()).hexdigest() for text in passwords)
