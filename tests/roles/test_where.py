"""A project whose page and API are below /stack/: everybody who asks a running stack finds them there."""

import subprocess
import sys
from collections.abc import Callable

from tests.e2e.client import Client, place_of
from tests.machine import patience
from tests.roles.conftest import PROJECT, Role, free_port

THEIRS = {"DJANGO_SETTINGS_MODULE": "elsewhere_settings", "WEB_WORKERS": "1"}


def say(web: Role, module: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a verb asks in the container of the web role."""
    command = [sys.executable, "-m", f"stack.ops.{module}"]
    env = web.env | {"PYTHONPATH": str(PROJECT / "app")} | variables
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=patience(40), check=False)


def test_who_asks_a_stack_finds_it_where_the_project_has_it(
    run_role: Callable[..., Role], send: Callable[..., str]
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    web = run_role("web", WEB_BIND=bind, API_TOKEN="t" * 20, **THEIRS).wait_ready()
    sent = send("ping", queue="emials")

    assert say(web, "web").stdout == "/stack/\n"
    unserved = say(web, "unserved")
    assert unserved.stdout.startswith("warning: queue 'emials': 1 task waits here, and no worker runs"), unserved

    client = Client(f"http://{bind}", "t" * 20, place_of(f"http://{bind}"))
    assert client.get("/livez").json() == {"status": "ok"}
    assert client.get("/version").json()["name"] == "django-celery-stack"
    assert client.state(sent)["state"] == "PENDING"

    stranger = Client(client.base_url, "w" * 20, client.place)
    assert {stranger.get("/api/tasks").status_code for _ in range(12)} == {401, 429}
    proof = say(web, "proof", API_TOKEN="w" * 20)  # no reason to wait, as a full queue is one
    assert (proof.returncode, "Too many wrong tokens" in proof.stderr) == (1, True), proof
