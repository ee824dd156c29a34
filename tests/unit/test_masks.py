"""What a process tells of its settings: Celery's own, and no password in any URL."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stack.broker.masks import masked
from tests.waiting import best_of

APP = Path(__file__).resolve().parents[2] / "app"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("redis://worker:s3cret@redis:6379/0", "redis://worker:********@redis:6379/0"),
        ("rediss://:s3cret@redis/0?ssl_cert_reqs=required", "rediss://:********@redis/0?ssl_cert_reqs=required"),
        ("smtp+tls://user:s3cret@mail:587", "smtp+tls://user:********@mail:587"),
        ("stack.broker.backend:RedisBackend+redis://worker:s3cret@h/0", "stack.broker.backend:RedisBackend+redis://worker:********@h/0"),
        ("postgres://u:s3@cret@h/db", "postgres://u:********@h/db"),
        ("postgres://u:s3/cr:et@h/db", "postgres://u:********@h/db"),
        ("Error 111 connecting to redis://u:s3cret@h, twice amqp://v:s3cret@i", "Error 111 connecting to "
         "redis://u:********@h, twice amqp://v:********@i"),
        ("redis://h/0?password=s3cret&db=1", "redis://h/0?password=********&db=1"),
        ("https://h/hook?access_token=s3cret", "https://h/hook?access_token=********"),
        ("redis://default@h/0", "redis://default@h/0"),
        ("https://h/a:b/@c", "https://h/a:b/@c"),
        ("mail me@example.com: now", "mail me@example.com: now"),
        ({"a": [("x", {"redis://u:s3cret@h": "redis://u:s3cret@h"})]}, {"a": [["x", {"redis://u:********@h":
         "redis://u:********@h"}]]}),
        (17, 17),
    ],
)  # fmt: skip
def test_a_password_in_a_url_is_masked_wherever_it_stands(told: Any, shown: Any) -> None:
    assert masked(told) == shown


@pytest.mark.parametrize("word", ["a", "x://a:", "x://u:p@x://a:", "?a.-", "@x://", "&key="])
def test_a_long_word_among_arguments_does_not_hold_up_a_worker(word: str) -> None:
    def took(letters: int) -> float:
        text = word * (letters // len(word))
        begun = time.process_time()
        masked(text)
        return time.process_time() - begun

    # Eight times the text is eight times the work. It was sixty-four times: three quarters of an hour for 1 MiB.
    best_of(lambda: took(32_000) / max(took(4_000), 0.005), 30)


SHOW = """
import django; django.setup()
from stack.celery import app
print(app.bugreport(), app.conf.table(), app.conf.table(with_defaults=True), app.conf.humanize())
"""


def test_a_report_has_celerys_settings_and_nothing_of_the_environment() -> None:
    env = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "stack.settings",
        "SERVICE_ROLE": "worker",
        "SECRET_KEY": "secret-of-django",
        "REDIS_PASSWORD": "secret-of-redis",
        "DATABASE_URL": "postgres://app:secret-of-db@db/app",
        "EMAIL_URL": "smtp+tls://user:secret-of-mail@mail:587",
        "SENTRY_DSN": "https://secret-of-sentry@sentry.example/1",
        "WHAT_EVER": "secret-of-nobody",
    }
    command = [sys.executable, "-W", "ignore", "-c", SHOW]
    told = subprocess.run(command, cwd=APP, env=env, capture_output=True, text=True, check=True).stdout

    assert "secret-of" not in told
    assert "WHAT_EVER" not in told
    assert "DATABASES" not in told
    for name in (
        "task_acks_late",
        "worker_prefetch_multiplier",
        "broker_url: 'redis://worker:",
        "result_expires",
    ):
        assert name in told
