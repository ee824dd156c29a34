"""What an operator does every day."""

import json
import subprocess

import pytest
import yaml

from tests.e2e.client import Client, lines_of
from tests.e2e.k8s import CHECKOUT, ROLES, Kubernetes
from tests.traffic import Ticks
from tests.waiting import wait_until


def versions(stack: Kubernetes) -> dict[str, int]:
    """The generation of every workload: it counts the changes of what is wanted."""
    items = json.loads(stack.kubectl("get", "deployment,statefulset,poddisruptionbudget,networkpolicy", "-o", "json"))
    return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["generation"] for item in items["items"]}


def test_a_second_apply_changes_nothing(stack: Kubernetes) -> None:
    before, pods = versions(stack), {role: stack.names(role) for role in ROLES}

    # Not by kubectl's words: it says "configured" where the API server filled in a default. The Job is gone soon
    # after its end, and is made anew.
    objects = yaml.safe_load_all(stack.kubectl("kustomize", str(stack.overlay)))
    done = stack.run("diff", "-f", "-", text=yaml.safe_dump_all(item for item in objects if item["kind"] != "Job"))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    stack.kubectl("apply", "-k", str(stack.overlay))

    assert versions(stack) == before
    assert {role: stack.names(role) for role in ROLES} == pods


def test_a_pod_that_asks_for_more_than_restricted_allows_is_refused(stack: Kubernetes) -> None:
    done = stack.run("run", "rogue", "--image=redis:8-trixie")
    assert done.returncode != 0
    assert "restricted" in done.stderr


def test_each_pod_is_locked_as_it_runs(stack: Kubernetes) -> None:
    for role in ROLES:
        script = "id -u; cat /proc/1/status | grep -E 'CapEff|NoNewPrivs|Seccomp:'; touch /x 2>&1; ls /run/secrets"
        said = stack.kubectl("exec", stack.names(role)[0], "-c", "app", "--", "sh", "-c", script + "; true").split("\n")
        assert said[0] == ("999" if role in ("redis", "db") else "10001"), role
        text = "\n".join(said)
        assert "CapEff:\t0000000000000000" in text, role
        assert "NoNewPrivs:\t1" in text, role
        assert "Seccomp:\t2" in text, role
        assert "Read-only file system" in text, role
        assert "kubernetes.io" not in text, role


def test_the_api_is_never_open_in_a_cluster(stack: Kubernetes) -> None:
    assert len(stack.api_token) > 40
    assert Client(stack.base_url).get("/api/tasks").status_code == 401


@pytest.mark.slow
def test_the_secret_is_random_and_a_second_run_of_the_job_leaves_it_alone(stack: Kubernetes) -> None:
    before = json.loads(stack.kubectl("get", "secret", "app-secrets", "-o", "json"))["data"]
    assert len(set(before.values())) == len(before)

    stack.kubectl("delete", "job", "make-secrets", "--ignore-not-found")
    stack.kubectl("apply", "-k", str(stack.overlay))
    stack.kubectl("wait", "--for=condition=complete", "job/make-secrets", "--timeout=60s")

    assert json.loads(stack.kubectl("get", "secret", "app-secrets", "-o", "json"))["data"] == before
    assert "has all " in stack.kubectl("logs", "job/make-secrets")


@pytest.mark.slow
def test_a_new_web_waits_while_another_applies_the_migrations(stack: Kubernetes, api: Client) -> None:
    hold = ["kubectl", "-n", stack.namespace, "exec", "-i", "db-0", "--", "psql", "-U", "postgres", "-d", "app"]
    with subprocess.Popen(hold, env=stack.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin
        assert other.stdout
        other.stdin.write(f"SELECT pg_advisory_lock({0x6D696772});\n")
        other.stdin.flush()
        assert "pg_advisory_lock" in other.stdout.readline()
        before = stack.names("web")
        stack.kubectl("rollout", "restart", "deployment/web")

        def waits() -> bool:
            (new,) = set(stack.names("web")) - set(before)
            return "somebody else applies the migrations" in stack.run("logs", new, "-c", "migrate").stdout

        wait_until(waits, 60)
        assert api.run("add", 2, 2, within=20)["result"] == 4
        other.stdin.close()  # psql ends, and its lock with it
    stack.wait_ready("web")


def rotate(stack: Kubernetes, key: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "rotate-secret", "TARGET=k8s", f"NAME={key}"],
        cwd=CHECKOUT, env=stack.env | {"OVERLAY": str(stack.overlay)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def log_in(stack: Kubernetes, user: str, password: str) -> str:
    """What Redis says to this user with this password."""
    done = stack.run("exec", "redis-0", "-c", "app", "--", "redis-cli", "--user", user, "--pass", password, "ping")
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("key", ["web_redis_password", "admin_redis_password", "database_password"])
def test_a_rotated_secret_is_new_and_the_old_one_is_worth_nothing(stack: Kubernetes, api: Client, key: str) -> None:
    old = stack.secret(key)
    if key == "web_redis_password":  # as a rotation leaves it that stopped after its first step
        stack.redis("ACL", "SETUSER", "web", ">left-over")
    done = rotate(stack, key)
    assert done.returncode == 0, done.stdout + done.stderr

    assert stack.secret(key) != old
    assert old not in done.stdout + done.stderr
    assert api.run("add", 2, 2, within=30)["result"] == 4
    user = key.removesuffix("_redis_password")
    if user == key:
        return
    # And it stays so when Redis's container, not its pod, starts anew.
    restarts = stack.restarts()["redis-0"]
    for restart in (False, True):
        if restart:
            stack.signal("redis", "KILL")
            wait_until(lambda: stack.restarts()["redis-0"] > restarts, 60)
            stack.wait_ready("redis")
        assert "PONG" in log_in(stack, user, stack.secret(key))
        assert "WRONGPASS" in log_in(stack, user, old)
        assert "WRONGPASS" in log_in(stack, user, "left-over")
    assert api.run("add", 2, 2, within=30)["result"] == 4


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_backlog_is_no_fault_of_the_proof(stack: Kubernetes, api: Client) -> None:
    slots = sum(worker["concurrency"] for worker in api.get("/api/workers").json())
    tasks = [api.submit("sleep", 40) for _ in range(slots + 2)]
    for task_id in tasks[:slots]:
        api.reaches(task_id, "STARTED")
    pod = stack.names("web")[0]
    proof = stack.run("exec", pod, "-c", "app", "--", "env", "PYTHONPATH=app", "python", "-m", "stack.ops.proof")
    assert proof.returncode == 0, proof
    assert "add(2, 3) has its turn later" in proof.stdout
    for task_id in tasks[slots:]:
        assert api.call("DELETE", f"/api/tasks/{task_id}").status_code == 202
    for task_id in tasks[:slots]:
        api.done(task_id, within=60)


@pytest.mark.slow
def test_a_secret_that_a_foreign_server_knows_is_not_rotated(stack: Kubernetes) -> None:
    stack.kubectl("patch", "secret", "app-secrets", "-p", json.dumps({"stringData": {"mail_password": "mine"}}))
    done = rotate(stack, "mail_password")
    assert done.returncode != 0
    assert "no key of the stack's own" in done.stderr
    assert stack.secret("mail_password") == "mine"

    before = stack.secret("database_password")
    stack.stop("db")  # nobody could be told the new one
    try:
        done = rotate(stack, "database_password")
        assert done.returncode != 0
        assert "no pod of db runs" in done.stderr
        assert stack.secret("database_password") == before
    finally:
        stack.start("db")


@pytest.mark.slow
def test_redis_deleted_with_queued_tasks_loses_none(stack: Kubernetes, api: Client) -> None:
    stack.stop("worker")
    tasks = [api.submit("add", number, 1) for number in range(50)]
    stack.kubectl("delete", "pod", "redis-0")
    stack.wait_ready("redis")
    stack.start("worker")
    assert [api.done(task_id, within=60)["result"] for task_id in tasks] == [number + 1 for number in range(50)]


@pytest.mark.slow
def test_two_beats_tick_once_and_the_other_takes_over(stack: Kubernetes, api: Client) -> None:
    stack.scale("beat", 2)
    try:

        def ticking() -> set[str]:
            logs = {name: stack.run("logs", name).stdout for name in stack.names("beat")}
            return {name for name, log in logs.items() if lines_of(log, "^beat: took the lock, ticking$")}

        with Ticks(api) as ticks:
            wait_until(lambda: len(ticks.seen) >= 3, 60)
            (leader,) = ticking()
            (standby,) = set(stack.names("beat")) - {leader}
            stack.kubectl("delete", "pod", leader, "--wait=false")
            wait_until(lambda: standby in ticking(), 15)
            count = len(ticks.seen)
            wait_until(lambda: len(ticks.seen) >= count + 3, 60)
            print("gaps between ticks:", ticks.check(longest=5 + 15))
    finally:
        stack.scale("beat", 1)
