"""A layer around any scheduler class of Celery: one leader, no end in an outage, and no run twice.

The class goes on deciding what is due. When an entry last ran is kept in Redis beside its own copy, which a new leader
would find stale: a file of another container, or a table that is written every three minutes.
"""

import logging
import os
import uuid
from datetime import UTC, datetime
from typing import Any

from django.db import Error as DatabaseError
from redbeat import RedBeatScheduler

from stack.beat.leader import LOST, Leader, is_outage
from stack.beat.rows import say_an_outage_once, warn_of_idle_rows
from stack.beat.scheduler import Scheduler
from stack.broker.connections import client
from stack.broker.keys import is_wrong_type, wrong
from stack.runtime.env import environment, get
from stack.runtime.heartbeat import waiting
from stack.runtime.serving import verify
from stack.state import chosen, runs
from stack.state.runs import RUNS, Run
from stack.state.stored import endless

logger = logging.getLogger(__name__)


def scheduler(app: Any, **options: Any) -> Any:
    """What Celery's `beat_scheduler` names: the project's class, with the layer around it."""
    try:
        base = chosen.load(app)
    except ValueError as error:
        raise SystemExit(f"beat: {error}") from error
    say_an_outage_once()
    env = environment()
    # Where the role may write; apart for each of several beats.
    file = f"{get('INSTANCE', env) or 'beat'}.schedule"
    options["schedule_filename"] = os.path.join(get("RUN_DIR", env), file)
    return make(base)(app, **options)


def make(base: type[Any]) -> type[Any]:
    """`base` with the layer around it: one of RedBeat's own kind has the stack's entries, which the API edits."""
    if issubclass(base, Leader):
        return base
    if base is RedBeatScheduler:
        return Scheduler
    return type(base.__name__, (Scheduler if issubclass(base, RedBeatScheduler) else Layer, base), {})


class Layer(Leader):
    """Stands before the class in the order of methods."""

    lost = (*LOST, DatabaseError)

    def __init__(self, app: Any, **options: Any):
        self.me = uuid.uuid4().hex
        self.is_set_up = False
        self.written: tuple[datetime, datetime] | None = None  # from when to when the settings' entries became rows
        self.runs: dict[str, str] = {}  # as Redis keeps them
        self.unsent: dict[str, tuple[str, Any]] = {}  # by name: the run that is or may be noted, and its entry
        self.continued: set[str] = set()  # entries that know of the last run in Redis
        super().__init__(app, **options)

    def setup_schedule(self) -> None:
        """Only what needs nobody: the class reads its file or table when this beat leads."""
        verify()

    def prepare(self) -> None:
        if not self.is_set_up:
            if hasattr(self, "_remove_db"):
                # Celery's shelve: Redis knows more, and one that an older version of the code wrote may not load.
                if getattr(self, "_store", None) is not None:
                    self._store.close()
                self._remove_db()
            begun = datetime.now(UTC)
            super().setup_schedule()
            self.is_set_up, self.written = True, (begun, datetime.now(UTC))
            warn_of_idle_rows(self.app)
        self.runs = runs.read()
        # Of another leader's later run, or where Redis did not take the note, nothing is left to send.
        self.unsent = {name: each for name, each in self.unsent.items() if self.runs.get(name) == each[0]}
        self.clock_was_set_back()

    def keep_lock(self) -> None:
        self.lock.extend(int(self.lock_timeout))

    def clock_was_set_back(self) -> None:
        self._heap = self.old_schedulers = None
        self.continued.clear()

    def wrong_key(self) -> str | None:
        pipe = client().pipeline(transaction=False)
        pipe.hget(RUNS, "").get(self.lock_key).pttl(self.lock_key)
        *answers, left = pipe.execute(raise_on_error=False)
        for (key, needed), answer in zip(((RUNS, "hash"), (self.lock_key, "string")), answers, strict=True):
            if is_wrong_type(answer):
                return wrong(client(), key, needed)
        return endless(self.lock_key) if left == -1 else None

    def why_not(self, error: Exception) -> str:
        self.prepared = False
        if not isinstance(error, DatabaseError):
            return super().why_not(error)
        if hasattr(self, "_initial_read"):
            self._initial_read = True  # django_celery_beat takes a reading that failed for done
        return self.stays_wrong(f"the database says: {' '.join(str(error).split()) or type(error).__name__}")

    def populate_heap(self, *args: Any, **kwargs: Any) -> None:
        """As Celery's, of entries that go on from the last run that Redis knows."""
        self._continue(self.schedule.values())
        self._forget_the_gone()
        super().populate_heap(*args, **kwargs)

    def _forget_the_gone(self) -> None:
        """Where a project makes a row for each run to come, the hash would grow without an end."""
        gone = [
            name
            for name in self.runs.keys() - self.schedule.keys()
            if not (run := runs.loads(self.runs[name])) or datetime.now(UTC) - run.at > runs.KEPT
        ]
        runs.forget(gone)
        for name in gone:
            del self.runs[name]

    def _continue(self, entries: Any) -> None:
        now, new = datetime.now(UTC), dict[str, str]()
        for entry in entries:
            waiting()
            rule, own = runs.rule_of(entry.schedule), runs.aware(entry.last_run_at or datetime.now(UTC))
            run, count, is_row = runs.loads(self.runs.get(entry.name)), entry.total_run_count, hasattr(entry, "model")
            if run is None:
                at = own
            elif run.rule != rule:
                # A turn from before it had this rule is not made up.
                at, count = now, count if is_row else run.count
            elif is_row and own > run.at and not (self.written and self.written[0] <= own <= self.written[1]):
                at = own  # it was switched off and on, or made anew; not only written once more by this very beat
            else:
                at, count = run.at, max(count, run.count)
            at = min(at, now)  # the clock was ahead then
            if run is None or run.rule != rule:
                new[entry.name] = Run(at, count, rule, self.me).dumps()
            runs.place(entry, at, count)
            self.continued.add(entry.name)
        runs.put(new)
        self.runs |= new

    def is_due(self, entry: Any) -> Any:
        due, delay = super().is_due(entry)
        now = datetime.now(UTC)
        slot = runs.slot_of(entry, now)
        if due and slot != now:
            delay = (slot + entry.schedule.run_every - now).total_seconds()
        return due, delay

    def reserve(self, entry: Any) -> Any:
        """As the class's, after the run was noted in Redis; one that another beat has noted is not sent."""
        self._claim(entry)
        run = runs.loads(self.runs.get(entry.name))
        after = super().reserve(entry)
        if run:
            runs.place(after, run.at, run.count)
        return after

    def _claim(self, entry: Any) -> None:
        if entry.name not in self.continued:
            self._continue([entry])
            if not entry.is_due()[0]:
                return
        run = Run(
            runs.slot_of(entry, datetime.now(UTC)), entry.total_run_count + 1, runs.rule_of(entry.schedule), self.me
        )
        wanted = run.dumps()
        # Before Redis is asked: should its answer be lost, `prepare` finds out whether it took the note.
        self.unsent[entry.name] = wanted, entry
        held = runs.claim(entry.name, self.runs.get(entry.name, ""), wanted)
        if not held:  # the note is gone: by the API, with a schedule of this name, or with the data of Redis
            held = runs.claim(entry.name, "", wanted)
        self.runs[entry.name] = held
        if held != wanted:
            del self.unsent[entry.name]
            logger.info("beat: another beat has sent %s", entry.name)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """As Celery's, but in an outage the run is kept, not dropped."""
        if entry.name not in self.unsent:
            return
        logger.info("beat: sending %s (%s)", entry.name, entry.task)
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except Exception as error:  # one entry must not hold back the others
            if is_outage(error):
                raise
            cause = error.__context__ or error
            logger.error("beat: %s cannot be sent: %s", entry.name, str(cause) or type(cause).__name__)

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **options: Any) -> Any:
        if advance:
            self.reserve(entry)
        if entry.name not in self.unsent:
            return None
        try:
            sent = super().apply_async(entry, producer=producer, advance=False, **options)
        except Exception as error:
            if not is_outage(error):
                del self.unsent[entry.name]
            raise
        del self.unsent[entry.name]
        return sent

    def send_unsent(self) -> None:
        for _, entry in list(self.unsent.values()):
            logger.info("beat: sending %s (%s), which an outage kept back", entry.name, entry.task)
            self.apply_entry(entry, producer=self.producer)

    def _do_sync(self) -> None:
        try:
            super()._do_sync()
        except self.lost as error:  # its own copy; Redis has the truth
            logger.warning("beat: could not write the last runs: %s", error)
