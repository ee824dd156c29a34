"""Where the packages that a project lists and those of the stack cannot both be; docker/requirements.py asks."""

import re
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

try:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name
except ModuleNotFoundError:  # before the stack's packages are installed there is pip, which brings it along
    from pip._vendor.packaging.requirements import InvalidRequirement, Requirement  # type: ignore[assignment]
    from pip._vendor.packaging.specifiers import SpecifierSet  # type: ignore[assignment]
    from pip._vendor.packaging.utils import canonicalize_name


class Wanted(NamedTuple):
    """One line of the project's list."""

    text: str
    place: str  # the file, for people


def locked(lock: Path) -> dict[str, str]:
    """Each package of a lock with its version."""
    found = re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)", lock.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def lock_for(wanted: list[Wanted], folder: Path) -> Path:
    """The lock whose Django the project takes: base.txt, unless only another one has it."""
    base, others = folder / "base.txt", sorted(folder.glob("django*.txt"))
    asked = [entry.specifier for text, _ in wanted if (entry := parsed(text)) and entry.name.lower() == "django"]
    for lock in (base, *others):
        if all(locked(lock)["django"] in specifier for specifier in asked):
            return lock
    return base


def parsed(text: str) -> Requirement | None:
    """A line as a requirement that counts here, or None: an address, a path, a marker of another platform."""
    try:
        entry = Requirement(re.sub(r"\s--?\w.*", "", text))
    except InvalidRequirement:
        return None
    return None if entry.url or (entry.marker and not entry.marker.evaluate()) else entry


def fights(wanted: list[Wanted], stack: list[str], lock: dict[str, str]) -> list[str]:
    """Each line of the project's that no version of a package can fulfil together with the stack's.

    Args:
        wanted: what the project lists.
        stack: the ranges that the stack needs.
        lock: the locked packages with their versions; those that are installed are asked for what they need.

    Returns:
        One sentence each, with both sides and the version to take.
    """
    entries = [(entry, place) for text, place in wanted if (entry := parsed(text))]
    limits = [("the stack", entry) for text in stack if (entry := parsed(text))]
    # A package that the project moves, as Django 6, asks for other things than the one that is here now.
    moved = {canonicalize_name(entry.name) for entry, _ in entries if not allows(entry, lock)}
    for name in sorted(set(lock) - moved):
        try:
            asks = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found = [(f"{name} {lock[name]}", entry) for text in asks if (entry := parsed(without_extras(text)))]
        limits += [(who, entry) for who, entry in found if canonicalize_name(entry.name) in lock]
    said: dict[str, None] = {}
    for entry, place in entries:
        for who, limit in limits:
            name = canonicalize_name(entry.name)
            if name == canonicalize_name(limit.name) and not overlap(entry.specifier, limit.specifier, lock.get(name)):
                take = f"{name}=={lock[name]}" if name in lock else str(limit)
                said.setdefault(
                    f"{place} asks for {entry.name}{entry.specifier}, and {who} needs {limit.name}{limit.specifier}. "
                    f"Take {take} there, or leave the line out: it comes with the stack."
                )
    return list(said)


def without_extras(text: str) -> str:
    return f"{text.partition(';')[0]} ; python_version < '0'" if "extra ==" in text else text


def allows(entry: Requirement, lock: dict[str, str]) -> bool:
    version = lock.get(canonicalize_name(entry.name))
    return version is None or entry.specifier.contains(version, prereleases=True)


def overlap(one: SpecifierSet, other: SpecifierSet, version: str | None) -> bool:
    """Whether a version may be in both: tried are those that stand in either, and the locked one."""
    named = [part.version.removesuffix(".*") for part in [*one, *other]]
    tries = [version] * bool(version) + named
    return not named or any(one.contains(each, True) and other.contains(each, True) for each in tries)
