"""What Flower forgets, and the names of others that its replacements rely on."""

import inspect
import runpy
import time
from pathlib import Path
from typing import Any

import flower.app
import flower.command
import flower.events
import pytest
from celery import Celery
from celery.events import EventReceiver
from flower.events import EventsState
from flower.options import options
from flower.views.monitor import Metrics
from kombu.mixins import ConsumerMixin
from kombu.transport.redis import Channel, MultiChannelPoller
from prometheus_client import generate_latest
from tornado.ioloop import IOLoop

from stack.monitoring.monitor import Listener, Monitor, Receiver


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> Monitor:
    options.purge_offline_workers = 3600
    monkeypatch.setattr(flower.app, "Events", Listener)
    return Monitor(
        capp=Celery("flower", broker="memory://", set_as_current=False),
        options=options,
        io_loop=IOLoop(make_current=False),
    )


def beat(monitor: Any, worker: str, moment: float) -> None:
    event = {"type": "worker-heartbeat", "hostname": worker, "timestamp": moment, "local_received": moment}
    monitor.events.state.event(event | {"clock": 1, "freq": 2, "active": 0, "pid": 1})
    monitor.inspector.workers[worker] = {"timestamp": moment, "stats": {}}


def test_a_worker_that_has_gone_leaves_nothing_and_one_that_beats_stays(monitor: Any) -> None:
    beat(monitor, "worker@gone", time.time() - 3700)
    beat(monitor, "worker@here", time.time() - 3500)
    assert b"worker@gone" in generate_latest()

    monitor.forget_gone_workers()

    state = monitor.events.state
    assert set(state.workers) == set(state.counter) == set(monitor.inspector.workers) == {"worker@here"}
    assert b"worker@gone" not in generate_latest()
    assert b"worker@here" in generate_latest()


def test_a_worker_that_answered_but_has_not_yet_sent_an_event_stays(monitor: Any) -> None:
    monitor.inspector.workers["worker@new"] = {"timestamp": time.time()}
    monitor.forget_gone_workers()
    assert set(monitor.inspector.workers) == {"worker@new"}


def test_flower_keeps_the_newest_ten_thousand_tasks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What they weigh is a figure of `make bench`."""
    monkeypatch.setenv("RUN_DIR", str(tmp_path))
    limit = runpy.run_path(str(Path(__file__).parents[2] / "app/flowerconfig.py"))["max_tasks"]
    state = EventsState(max_tasks_in_memory=limit)
    for number in range(limit + 5):
        state.event({"type": "task-sent", "uuid": str(number), "hostname": "web", "timestamp": number, "clock": number,
                     "local_received": number, "utcoffset": 0, "pid": 1})  # fmt: skip
    assert limit == 10_000
    assert (len(state.tasks), "4" in state.tasks, "5" in state.tasks) == (10_000, False, True)


def test_the_names_of_flower_and_kombu_that_are_replaced_are_there() -> None:
    """A version in which one of these fails needs a look at stack/monitoring/monitor.py."""
    source = inspect.getsource(flower.app.Flower.__init__)
    assert "events or Events(" in source
    assert "flower_app = Flower(" in inspect.getsource(flower.command.flower.callback)
    assert "self.events_enable_interval" in inspect.getsource(flower.events.Events.__init__)
    assert "capture(" in inspect.getsource(flower.events.Events.run)
    assert "self.on_iteration()" in inspect.getsource(ConsumerMixin.consume)
    assert "self.on_consume_ready(" in inspect.getsource(ConsumerMixin.consumer_context)
    assert list(inspect.signature(EventReceiver.on_consume_ready).parameters)[1:4] == [
        "connection",
        "channel",
        "consumers",
    ]
    assert "self.keyprefix_binding_deadlines" in inspect.getsource(Channel._script_binding_deadlines.fget)
    assert "server = HTTPServer(" in inspect.getsource(flower.app.Flower.start_http_server)
    assert "missed" in inspect.getsource(MultiChannelPoller.maybe_check_subclient_health)
    assert callable(Metrics.get)
    assert issubclass(Receiver, ConsumerMixin)
