"""RedBeat's entries, which beat reads anew at each turn."""

from typing import Any

from celery import current_app
from ninja.errors import HttpError
from redbeat.schedulers import ensure_conf

from stack.broker.connections import client
from stack.broker.keys import describe
from stack.http.room import room_for
from stack.http.schedules_shapes import BROKEN, ScheduleIn, called, local, rule, shown
from stack.state import queues
from stack.state.entries import RESERVED, Entry
from stack.state.stored import Stored, keys, read, remove


def listed() -> list[dict[str, Any]]:
    """Every entry as the API shows it."""
    known = queues.Known()
    return [_of(stored, known) for stored in read(current_app, keys(current_app)) if stored.definition or stored.error]


def save(name: str, body: ScheduleIn) -> tuple[dict[str, Any], str | None, str]:
    """Make or change an entry; returns how it is shown, and its definitions before and after.

    Raises:
        ValueError: naming the argument that does not fit.
    """
    if name.startswith(RESERVED):
        raise HttpError(422, f"name: 1 to 200 printable characters, not beginning with {' or '.join(RESERVED)}")
    stored = _find(name)
    before = _entry_of(stored)
    entry = Entry(
        name=name,
        **called(body, before),
        schedule=rule(body, before.schedule if before else None),
        enabled=body.enabled if body.enabled is not None else before.enabled if before else True,
        app=current_app._get_current_object(),
    )
    with room_for(len(entry.definition())):
        entry.save(anew=entry.follow(before), in_place_of=None if before else stored)
    return _shown(entry), before.definition() if before else None, entry.definition()


def delete(name: str) -> str | None:
    """Delete an entry; returns its definition, or None where there is none."""
    stored = _find(name)
    if stored is None:
        return None
    remove(current_app, stored.key)
    return stored.definition or ""


def _find(name: str) -> Stored | None:
    """What is stored under this name, if anything is; it need not be a schedule that can run."""
    if name.startswith(RESERVED):
        return None
    ensure_conf(current_app)
    (stored,) = read(current_app, [Entry.generate_key(current_app, name)])
    return stored if stored.definition or stored.error else None


def _entry_of(stored: Stored | None) -> Entry | None:
    """The schedule that is stored; what can be none is replaced by the next one of its name."""
    try:
        return Entry.of(stored, current_app) if stored else None
    except ValueError:
        return None


def _of(stored: Stored, known: queues.Known) -> dict[str, Any]:
    """A schedule, or what is known of one that is broken."""
    try:
        entry = Entry.of(stored, current_app)
        queue = (entry.options or {}).get("queue")
        # Beat finds it out when its time has come, of one that is switched off never.
        why = None if queue is None or stored.aside else known.refusal(queue)
        return _shown(entry, f"options.queue: {why}" if why else stored.aside)
    except ValueError as error:
        problem = describe(client(), stored.error) if stored.error else str(error)
    name = stored.key.removeprefix(current_app.redbeat_conf.key_prefix)
    return BROKEN | {"name": name, "problem": problem}


def _shown(entry: Any, problem: str | None = None) -> dict[str, Any]:
    return shown(
        entry,
        enabled=entry.enabled,
        last_run_at=local(entry.ran_at),
        next_run_at=local(entry.due_at) if entry.enabled else None,
        total_run_count=entry.total_run_count,
        problem=problem,
    )
