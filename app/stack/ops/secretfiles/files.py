"""One secret is one file: reading it, replacing it, and what its rotation leaves beside it."""

import os
from pathlib import Path


def read(path: Path) -> str | None:
    """The secret without the newline at its end, or None where there is no file."""
    return path.read_text().strip() if path.exists() else None


def old(path: Path) -> list[str]:
    """Every value since the last `--finish`; a rotation that was broken off and begun again leaves several."""
    return (read(aside(path)) or "").splitlines()


def aside(path: Path) -> Path:
    """Where a secret's old values are while it is rotated."""
    return path.with_name(path.name + ".old")


def replace(path: Path, text: str) -> None:
    """A new value; Redis takes the old ones too until `--finish`, so that nobody is locked out meanwhile.

    For every secret they also say that its rotation has begun and was not finished.
    """
    # A file of several lines, such as a private key, is no password: nobody takes its old value.
    if (known := read(path)) and "\n" not in known:
        write(aside(path), "\n".join([*old(path), known]))
    elif known:
        write(aside(path), "replaced")
    write(path, text)


def write(path: Path, text: str) -> None:
    """Write a file 0600 aside and rename it, so that a crash leaves no half secret that would be kept for ever."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)
