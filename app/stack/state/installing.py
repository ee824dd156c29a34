"""What a beat does with all entries when it takes the lock: those of the settings are put into Redis, and beat
learns anew when to look at each, by the clock and the zone of now."""

import logging
from contextlib import suppress
from datetime import datetime
from typing import Any

from redbeat.schedulers import get_redis

from stack.runtime import heartbeat
from stack.state.entries import Entry
from stack.state.stored import INSTALLED, ZONE, Stored, keys, read, remove

logger = logging.getLogger(__name__)


def install_entries(app: Any, entries: dict[str, Any], reset: bool = False) -> None:
    """Bring the entries of the settings into Redis without touching what was changed at run time.

    An entry is put there once. Later a change of the file, or its removal from it, takes effect as long as
    nobody edited or deleted the entry meanwhile. `reset` restores all entries to the file's.
    """
    connection = get_redis(app)
    installed = connection.hgetall(INSTALLED)
    for name in installed.keys() | entries.keys():
        (stored,) = read(app, [Entry.generate_key(app, name)])
        live, before = stored.definition, installed.get(name)
        if stored.error and not reset:
            continue  # beat sets it aside, with the reason
        untouched = before is None or (live is not None and live == before)
        if name not in entries:
            if untouched or reset:
                remove(app, stored.key)
            connection.hdel(INSTALLED, name)
        elif reset or (untouched and live != entries[name].definition() and (live is None or before is not None)):
            entry, followed = entries[name], None
            with suppress(ValueError):
                followed = Entry.of(stored, app)
            entry.save(anew=entry.follow(followed), in_place_of=stored if stored.error else None)
            connection.hset(INSTALLED, name, entry.definition())
            logger.info("beat: installed schedule %s", name)


def rescore(app: Any) -> None:
    """Note anew when beat has to look at the entries that ran in the future, by the clock of now.

    And at every entry where TIME_ZONE is another than the last time: crontabs are read in it.
    """
    connection, zone = get_redis(app), str(app.timezone)
    moved, seen = connection.get(ZONE) != zone, set[Stored]()
    # Until none was changed meanwhile, by the API: its new rule says when.
    while new := {stored for stored in read(app, keys(app)) if stored.definition} - seen:
        seen |= new
        for stored in new:
            with suppress(ValueError):  # when its turn comes beat says what is wrong with it
                entry = Entry.of(stored, app)
                if moved or (entry.last_run_at and entry.last_run_at > datetime.now(entry.last_run_at.tzinfo)):
                    heartbeat.waiting()
                    connection.zadd(app.redbeat_conf.schedule_key, {entry.key: entry.score})
    connection.set(ZONE, zone)
