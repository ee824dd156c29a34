"""What a process tells of itself, without its environment and without passwords.

Celery hides a setting by its name only (SECRET_KEY), and tells all of Django's settings beside its own: the whole
environment, as `settings.STACK_ENV`, and the passwords within URLs.
"""

import re
from collections.abc import Mapping
from typing import Any

from celery.app import utils
from celery.app.defaults import SETTING_KEYS

MASK = "********"
# All of these take a time that grows with the text and no faster: the arguments of a task may be a word of a mebibyte,
# and a worker's main loop waits for this.
_WORD = re.compile(r"\S+")
_USER = re.compile(r"(?<=[\w.+-])://[^:@/]*:(?=.)")
_IN_QUERY = re.compile(r"([?&][\w.-]*(?:password|passwd|pwd|secret|token|key|signature)=)[^&\s'\"]+", re.IGNORECASE)
_table = utils.Settings.table


def masked(value: Any) -> Any:
    """`value` with each password of a URL in any text of it masked, however deep it lies."""
    if isinstance(value, str):
        if "://" in value and "@" in value:
            value = _WORD.sub(_in_url, value)
        return _IN_QUERY.sub(rf"\1{MASK}", value)
    if isinstance(value, Mapping):
        return {masked(name): masked(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(each) for each in value]
    return value


def _in_url(word: re.Match[str]) -> str:
    """A word, in which the password of a URL is masked, to the last @: a password may hold one that nobody escaped."""
    head, at, tail = word[0].rpartition("@")
    user = _USER.search(head)
    return f"{head[: user.end()]}{MASK}{at}{tail}" if user else word[0]


def table(self: Any, with_defaults: bool = False, censored: bool = True) -> dict[str, Any]:
    """As Celery's `app.conf.table`, of which `inspect conf`, `celery report` and Flower's page are made: Celery's own
    settings alone."""
    settings = _table(self, with_defaults, censored)
    return masked(
        {name: each for name, each in settings.items() if name.lower().removeprefix("celery_") in SETTING_KEYS}
    )


def install() -> None:
    """Put this in place of Celery's, for the whole process; a unit test fails when Celery's moves."""
    utils.Settings.table = table
