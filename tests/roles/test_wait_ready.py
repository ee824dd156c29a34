"""`make up` waits for a role that starts slowly, and not for one that ends again and again: real roles, supervisord."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.machine import patience
from tests.roles.conftest import PASSWORD, PROJECT, Redis
from tests.waiting import Process

CONF = """
[unix_http_server]
file={run}/s
[supervisord]
nodaemon=true
logfile={run}/supervisord.log
pidfile={run}/supervisord.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:worker]
command=sh -c "{before}; exec {python} {project}/app/service.py run worker"
startretries=1000000
startsecs=5
autorestart=true
killasgroup=true
redirect_stderr=true
stdout_logfile={run}/run/log/worker.log
"""
WAIT = """
import os, sys
from pathlib import Path
sys.path.insert(0, "deploy")
import readiness, supervision
readiness.PROJECT = Path(os.environ["RUN_DIR"])
supervision.SOCKET = readiness.PROJECT / "s"
try:
    readiness.wait_ready(dict(os.environ), supervision.names(), supervision.Ends(), {seconds}, {impatient}, 1)
except readiness.Stop as reason:
    sys.exit(str(reason))
"""


@contextmanager
def supervised(server: Redis, before: str = "true", **variables: str) -> Iterator[dict[str, str]]:
    """A worker under a supervisord of its own; the environment of both."""
    # Short: the path of a socket is limited.
    with tempfile.TemporaryDirectory(prefix="w", dir="/tmp") as run:
        env = {"PATH": os.environ["PATH"], "REDIS_URL": f"redis://default@127.0.0.1:{server.port}/0", "RUN_DIR": run}
        env |= {"REDIS_PASSWORD": PASSWORD, "SECRET_KEY": "k" * 50, "WORKER_POOL": "solo"} | variables
        Path(run, "run/log").mkdir(parents=True)
        conf = Path(run, "conf")
        conf.write_text(CONF.format(run=run, before=before, python=sys.executable, project=PROJECT))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)]
        process = Process(command, env=env, cwd=PROJECT, stdout=subprocess.DEVNULL)
        try:
            yield env
        finally:
            process.terminate()
            process.wait(30)


def waited(env: dict[str, str], seconds: float, impatient: float) -> subprocess.CompletedProcess[str]:
    code = "import time, pathlib, os\nwhile not pathlib.Path(os.environ['RUN_DIR'], 's').exists(): time.sleep(0.05)\n"
    code += WAIT.format(seconds=patience(seconds), impatient=impatient)
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=patience(60), check=False
    )


def test_a_role_that_starts_slowly_is_waited_for_and_named(redis_server: Redis) -> None:
    with supervised(redis_server, before="sleep 2") as env:
        done = waited(env, 40, impatient=0.5)
    assert done.returncode == 0, done.stderr
    assert "still starting after " in done.stdout
    assert "worker.heartbeat does not exist: worker has not started" in done.stdout


def test_a_role_that_ends_again_and_again_is_not_waited_for(redis_server: Redis) -> None:
    with supervised(redis_server, before="echo began; echo broken; exit 3") as env:
        done = waited(env, 300, impatient=50)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "worker is not ready, it has ended 3 times. run/log/worker.log ends in:"
    assert done.stderr.splitlines()[-2:] == ["began", "broken"]


def test_a_role_that_has_ended_once_has_the_time_that_it_always_had(redis_server: Redis) -> None:
    with supervised(redis_server, before="test -e $RUN_DIR/once && exec sleep 60; touch $RUN_DIR/once; exit 1") as env:
        done = waited(env, 300, impatient=2)
    assert done.returncode == 1
    assert "worker is not ready, it has ended once. " in done.stderr
