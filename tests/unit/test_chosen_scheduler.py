"""Which scheduler beat runs: the variable's, the project's, or the stack's own."""

from typing import Any

import pytest
from celery import Celery
from celery.beat import PersistentScheduler
from redbeat import RedBeatScheduler

from stack.broker.configuration import BEAT_LAYER, beat_scheduler
from stack.state import chosen


class Own(PersistentScheduler):
    """A project's, given as a class."""


def app_with(given: Any, **env: str) -> Celery:
    app = Celery(set_as_current=False)
    app.conf.update(beat_scheduler(given, env))
    return app


@pytest.mark.parametrize(
    ("given", "env", "base", "kind"),
    [
        (None, {}, RedBeatScheduler, chosen.REDIS),
        ("", {}, RedBeatScheduler, chosen.REDIS),
        ("redbeat:RedBeatScheduler", {}, RedBeatScheduler, chosen.REDIS),
        ("celery.beat:PersistentScheduler", {}, PersistentScheduler, chosen.SETTINGS),
        ("celery.beat.PersistentScheduler", {}, PersistentScheduler, chosen.SETTINGS),
        (Own, {}, Own, chosen.SETTINGS),
        (Own, {"BEAT_SCHEDULER": "celery.beat:PersistentScheduler"}, PersistentScheduler, chosen.SETTINGS),
    ],
)
def test_the_variable_wins_over_the_project_and_the_layer_is_around_both(
    given: Any, env: dict[str, str], base: type, kind: str
) -> None:
    app = app_with(given, **env)
    assert app.conf.beat_scheduler == BEAT_LAYER
    assert (chosen.load(app), chosen.kind(app)) == (base, kind)


@pytest.mark.parametrize(("given", "why"), [("no.such:Thing", "cannot be imported"), ("os:path", "no subclass")])
def test_what_is_no_scheduler_is_refused_by_name(given: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"beat_scheduler='{given}'.* {why}"):
        chosen.load(app_with(given))
