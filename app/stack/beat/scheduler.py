"""Beat's scheduler: RedBeat with its lock, made to live through an outage of Redis.

RedBeat 2.4.2 alone exits on a 4 s outage, and puts the file's entry back over a live edit at each restart.
"""

import logging
from typing import Any

import redis
from celery.beat import SchedulingError
from redbeat.schedulers import RedBeatScheduler, get_redis, to_timestamp

from stack.beat.aside import Aside
from stack.beat.leader import Leader, is_outage
from stack.beat.rows import warn_of_idle_rows
from stack.broker.connections import answer_of, client
from stack.broker.keys import describe, is_wrong_type
from stack.runtime.heartbeat import waiting
from stack.runtime.serving import verify
from stack.state import backlog, queues
from stack.state.entries import Entry
from stack.state.installing import install_entries, rescore
from stack.state.stored import read, wrong_key

logger = logging.getLogger(__name__)


class Scheduler(Leader, RedBeatScheduler):
    """RedBeat's entries, which the API edits, under the one leader's lock."""

    Entry = Entry

    def setup_schedule(self) -> None:
        """Refuse, by name, an entry of the settings that could not be stored; Redis is not asked yet."""
        verify()
        self.from_settings = {}
        for name, fields in self.app.conf.beat_schedule.items():
            try:
                entry = self._maybe_entry(name, dict(fields))
                entry.definition()
            except (TypeError, ValueError, KeyError) as error:
                raise SystemExit(f"beat: schedule {name!r} cannot be used: {error}") from error
            self.from_settings[name] = entry
        self.unsent: dict[str, Entry] = {}  # runs that are noted as done and could not be sent, by their key
        self.unsure: set[str] = set()  # runs of which Redis did not say whether it noted them
        self.aside = Aside(self.app)
        self.known = queues.Known()

    def prepare(self) -> None:
        install_entries(self.app, self.from_settings)
        rescore(self.app)
        self.aside.reset()
        warn_of_idle_rows(self.app)

    def clock_was_set_back(self) -> None:
        rescore(self.app)

    def wrong_key(self) -> str | None:
        return wrong_key(self.app)

    @property
    def schedule(self) -> dict[str, Any]:
        """The entries that are due, and the next one: as RedBeat's, without those that are set aside."""
        place, now = self.app.redbeat_conf.schedule_key, to_timestamp(self.app.now())
        connection = get_redis(self.app)
        pipe = connection.pipeline(transaction=False)
        pipe.zrangebyscore(place, 0, now)
        pipe.zrangebyscore(place, f"({now}", now + self.max_interval, start=0, num=1)
        due, soon = pipe.execute()
        found = {}
        for stored in read(self.app, [*due, *soon]):
            if stored.definition is None and stored.error is None:
                logger.warning("beat: %s is gone", stored.key)
                connection.zrem(place, stored.key)
            elif not self.aside.holds(stored):
                try:
                    entry = Entry.of(stored, self.app)
                    found[entry.name] = entry
                except ValueError as error:
                    reason = describe(client(), stored.error) if stored.error else str(error)
                    self.aside.put(stored.key, stored.definition, reason)
        return found

    def send_unsent(self) -> None:
        for run, entry in list(self.unsent.items()):
            logger.info("beat: sending %s (%s), which an outage kept back", entry.name, entry.task)
            try:
                self._send(entry, run, advance=False)
            except Exception as error:
                self._set_aside(entry, error, run)

    def maybe_due(self, entry: Any, **kwargs: Any) -> Any:
        """Send an entry whose time has come; returns the seconds until its next turn, None where it is set aside."""
        waiting()  # a turn over a thousand entries may take long
        run = f"redbeat:run:{entry.name}:{entry.last_run_at}:{entry.total_run_count}"
        try:
            due, delay = entry.is_due()
            if due:
                self._check_queue(entry)
                if self._first_for(run, entry):
                    logger.info("beat: sending %s (%s)", entry.name, entry.task)
                    self._send(entry, run, **kwargs)
        except Exception as error:  # one entry must not hold back the others
            self._set_aside(entry, error, run)
            return None
        return delay

    def _check_queue(self, entry: Any) -> None:
        """Raise a ValueError where the entry's own queue is none to which a schedule may send."""
        queue = (entry.options or {}).get("queue")
        if queue is not None and (why := self.known.refusal(queue)):
            raise ValueError(f"options.queue: {why}")

    def _send(self, entry: Any, run: str, **options: Any) -> None:
        """Send one run. Celery notes it as done before it sends it; it is unsent until it is sent or that is undone."""
        self.unsent[run] = entry
        self.apply_async(entry, **options)
        del self.unsent[run]
        self.aside.clear(entry.key)

    def _set_aside(self, entry: Any, error: Exception, run: str) -> None:
        """Leave an entry out that cannot be sent, as if this turn had not come; raises `error` in an outage."""
        if is_outage(error):
            raise error
        cause = error.__context__ if isinstance(error, SchedulingError) and error.__context__ else error
        reason = str(cause) or type(cause).__name__
        if answer := answer_of(cause):
            # kombu's own clients do not note which key it was; most likely it is one of the queue.
            known = hasattr(answer, "broken_key") or not is_wrong_type(answer)
            reason = (None if known else self._wrong_key_of(entry)) or describe(client(), answer)
        self.unsure.discard(run)
        try:
            entry.take_back(run)
        except redis.ResponseError as refused:
            if is_outage(refused):
                raise
        self.unsent.pop(run, None)
        self.aside.put(entry.key, entry.stored, reason)

    def _wrong_key_of(self, entry: Any) -> str | None:
        own = (entry.options or {}).get("queue") or getattr(self.app.tasks.get(entry.task), "queue", None)
        return backlog.wrong_key(queues.name_of(own or self.app.amqp.router.route({}, entry.task)["queue"]))

    def _first_for(self, run: str, entry: Any) -> bool:
        """Whether no other beat has sent this very run; false only for one that lost the lock without noticing."""
        try:
            first = get_redis(self.app).set(run, 1, nx=True, ex=3600)
        except redis.RedisError:
            self.unsure.add(run)
            raise
        if first or run in self.unsure:
            self.unsure.discard(run)
            return True
        next(entry)
        return False
