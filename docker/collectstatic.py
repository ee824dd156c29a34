"""Collect static files while the image is built: `collectstatic.py <file of values> <target> <folder of the cache>`.

With the project's own settings, apps and storage, and values for what only a role knows: no secret and no service is
there. What was collected from the same files, by the same storage, is taken from the cache.
"""

import hashlib
import inspect
import os
import re
import secrets
import shutil
import sys
import traceback
from importlib import metadata
from pathlib import Path

APP = Path("/srv/app")
# What compose and Kubernetes give to every role. Nothing is connected to, and no secret is one.
VALUES = {
    "SERVICE_ROLE": "migrate",
    "RUN_DIR": "/tmp",  # noqa: S108 (nothing else runs in a build)
    "REDIS_URL": "redis://redis:6379/0",
    "DATABASE_URL": "postgres://app@db:5432/app",
} | {name: secrets.token_hex(32) for name in ("SECRET_KEY", "REDIS_PASSWORD", "DATABASE_PASSWORD", "EMAIL_PASSWORD")}


def collect(target: Path, cache: Path) -> str:
    """Fill the folder `target`; what was done, as a sentence. A storage elsewhere leaves it empty."""
    from django.contrib.staticfiles.storage import staticfiles_storage
    from django.core.files.storage import FileSystemStorage
    from django.core.management import call_command

    target.mkdir(parents=True)
    if not isinstance(staticfiles_storage, FileSystemStorage):
        return "static files are kept elsewhere: the role `migrate` collects them"
    manifest = getattr(staticfiles_storage, "manifest_storage", staticfiles_storage)
    for storage in (staticfiles_storage, manifest):
        if Path(storage.location) != target:
            raise ValueError(
                f"STORAGES['staticfiles'] writes to {storage.location}, and the image takes STATIC_ROOT ({target}) "
                "alone: leave its `location` out."
            )
    kept = cache / fingerprint()
    if kept.is_dir():
        shutil.copytree(kept, target, dirs_exist_ok=True)
        kept.touch()
        return "static files have not changed"
    call_command("collectstatic", interactive=False, verbosity=1)
    for old in sorted(cache.iterdir(), key=lambda path: path.stat().st_mtime)[:-4]:
        shutil.rmtree(old)
    # Under its name when it is complete.
    half = cache / "half"
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(target, half)
    half.rename(kept)
    return "static files are collected"


def fingerprint() -> str:
    """A word for all that decides on what is collected: files, packages, settings, and the code of the storage."""
    from django.conf import settings
    from django.contrib.staticfiles.finders import get_finders
    from django.contrib.staticfiles.storage import staticfiles_storage

    parts = [str(target) for target in sys.argv]
    parts += sorted(f"{package.name} {package.version}" for package in metadata.distributions())
    for name in sorted(dir(settings)):
        if name.startswith(("STATIC", "STORAGES", "WHITENOISE")):
            parts.append(f"{name}={getattr(settings, name)!r}")
    for kind in type(staticfiles_storage._wrapped).__mro__[:-1]:
        parts.append(inspect.getsource(kind))
    for finder in get_finders():
        for name, storage in finder.list([]):
            with storage.open(name) as file:
                parts.append(f"{getattr(storage, 'prefix', '')} {name} {hashlib.sha256(file.read()).hexdigest()}")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def reason(error: Exception) -> str:
    """What went wrong, for one who has not read the settings lately."""
    place = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in place if frame.filename.startswith(f"{APP}/") and "/stack/" not in frame.filename]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    text = f"{type(error).__name__}: {error}{where}"
    names = re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|(?<=')[A-Z][A-Z0-9]+(?=')", str(error))
    name = next((name for name in names if name not in os.environ), "")
    return text + (
        f"\nIf {name or 'this'} is a variable that your settings need, write a value for the build into "
        f"docker/build.env, as {name or 'STRIPE_KEY'}=none. It is used to collect static files, and never reaches the "
        "image; the real one comes from .env when the image runs."
    )


def main(values: str, target: str, cache: str) -> None:
    sys.path.insert(0, str(APP))
    from stack.runtime.env import environment
    from stack.runtime.project import enter

    os.environ.update(VALUES | {"STATIC_ROOT": target} | environment(values, base={}))
    try:
        os.chdir(enter(environment()).dir)
        import django

        import stack.celery  # noqa: F401 (before Django reads its settings, as in every role)

        django.setup()
    except Exception as raised:
        error = raised.__cause__ if type(raised).__name__ == "SettingsFailed" else raised
        sys.exit(f"collectstatic: the project's settings cannot be read while the image is built.\n{reason(error)}")
    try:
        print(f"collectstatic: {collect(Path(target), Path(cache))}")
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"collectstatic: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
