"""How long canvases and idempotency keys are kept, with whatever Celery takes for CELERY_RESULT_EXPIRES."""

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from fakeredis import FakeRedis

from stack.http import idempotency
from stack.state import canvas, records
from stack.state.plans import Plan

DAY = 86400


@pytest.fixture(params=[None, 0, 1.5 * DAY, timedelta(days=2), DAY], ids=str)
def expires(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(current_app.conf, "result_expires", request.param)
    return request.param


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> FakeRedis:
    redis = FakeRedis(decode_responses=True)
    for module in (canvas, idempotency, records):
        monkeypatch.setattr(module, "client", lambda: redis)
    return redis


def test_a_canvas_and_a_key_are_kept_as_long_as_a_record(expires: Any, redis: FakeRedis) -> None:
    plan = Plan("group", [], ["a"], [1])
    canvas.record(plan)
    idempotency.id_for("once", ["add"])

    assert DAY <= records.lasts() <= 2 * DAY
    kept = [redis.ttl(key) for key in (*redis.keys("stack:canvas:*"), *redis.keys("stack:idempotency:[0-9a-f]*"))]
    assert kept == [pytest.approx(records.lasts(), abs=2)] * 2
