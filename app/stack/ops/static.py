"""Static files: where the storage that the project chose keeps them, and when they are collected.

The image has them: it was built with them. Elsewhere most storages need none, because whitenoise serves the files from
where they are. One that puts a hash into each name (a manifest) needs them collected; so does one in another place.
"""

import logging
import os
from collections.abc import Mapping

from django.conf import settings
from django.contrib.staticfiles.storage import HashedFilesMixin, staticfiles_storage
from django.core.files.storage import FileSystemStorage
from django.core.management import call_command

logger = logging.getLogger(__name__)


def needed(env: Mapping[str, str]) -> bool:
    """Whether static files must be collected before a role serves them.

    Args:
        env: mapping of environment variables; one that names STATIC_ROOT wants them there.
    """
    if not isinstance(staticfiles_storage, FileSystemStorage):
        return True
    if not isinstance(staticfiles_storage, HashedFilesMixin) and not env.get("STATIC_ROOT"):
        return False
    folder = str(settings.STATIC_ROOT)
    # The image's own folder belongs to root.
    return not os.path.isdir(folder) or os.access(folder, os.W_OK)


def collect() -> None:
    """Collect all static files into the project's storage.

    Raises:
        OSError: a file cannot be written.
        ValueError: a file refers to one that is not there, and the storage wants it.
    """
    logger.info("collecting static files into %s", getattr(settings, "STATIC_ROOT", None) or "their storage")
    call_command("collectstatic", interactive=False, verbosity=0)
