"""`make shell|manage|logs|status TARGET=k8s`: in the pods of the overlay's workloads, on the cluster of KUBECONFIG."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NoReturn

from checkout import ROLES, Stop
from kube import (
    WITH_OVERLAY,
    Object,
    a_pod,
    found,
    is_ready,
    meant,
    pods,
    reference,
    role_of,
    running,
    space,
    workloads,
)
from operate import Row, main, said_by_check, unknown, youngest

EVERY = 2  # seconds between two looks for pods that are new
# What a pod waits for that is on its way; the reason is then in its conditions or its events.
COMING = ("ContainerCreating", "PodInitializing")


def manage(role: str, arguments: Sequence[str], terminal: bool) -> NoReturn:
    """Become `manage.py` in a running pod of the role, as the role's user and with its secrets."""
    program = ("env", f"SERVICE_ROLE={role}", "python", "app/manage.py", *arguments)
    command = ["kubectl", *space(), "exec", "-it" if terminal else "-i", a_pod(role), "-c", "app", "--", *program]
    print(meant(), file=sys.stderr, flush=True)
    os.execvp(command[0], command)


def logs(role: str, tail: str, follow: bool) -> None:
    """Print the log of each container of a role, those of init containers too, each line with the pod's name."""
    accepted = [role_of(item) for item in workloads("Deployment", "StatefulSet", "Job")]
    names = [item["metadata"]["name"] for item in workloads()]
    if role and role not in (*accepted, *names):
        raise unknown(role, (*accepted, *names))
    if not any(pods().values()):
        raise Stop(f"{meant()} is not up: make up {WITH_OVERLAY}")
    begun: set[tuple[str, str, int]] = set()
    while True:
        for one in containers(role):
            if one not in begun:
                begun.add(one)
                name, container, _ = one
                options = ("-c", container, "--prefix", f"--tail={'-1' if tail == 'all' else tail}")
                command = ["kubectl", *space(), "logs", name, *options, *["-f"][: int(follow)]]
                # Those that follow run side by side, and Ctrl-C reaches them too.
                subprocess.Popen(command) if follow else subprocess.call(command)
        if not follow:
            return
        time.sleep(EVERY)  # a pod that comes later, or a container that was restarted, is followed as well


def containers(role: str) -> Iterator[tuple[str, str, int]]:
    """Pod, container and number of restarts of whatever has a log."""
    wanted = {
        reference(item)
        for item in workloads("Deployment", "StatefulSet", "Job")
        if role in ("", role_of(item), item["metadata"]["name"])
    }
    for name, each in pods().items():
        for pod in each if name in wanted else ():
            status = pod["status"]
            for state in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
                if "waiting" not in state["state"] or state["lastState"]:
                    yield pod["metadata"]["name"], state["name"], state["restartCount"]


def status() -> Iterator[Row]:
    """A row for each Deployment and StatefulSet of the overlay, and one for a Job that failed."""
    ours = workloads("Deployment", "StatefulSet", "Job")
    live = {reference(item): item for item in found(*map(reference, ours))}
    if not any(reference(item) in live for item in workloads()):
        raise Stop(f"{meant()} is not up: make up {WITH_OVERLAY}")
    print(meant(), file=sys.stderr, flush=True)
    by_workload = pods()
    every = [pod for item in workloads() for pod in by_workload[reference(item)]]
    with ThreadPoolExecutor(8) as pool:
        reasons = dict(zip([pod["metadata"]["name"] for pod in every], pool.map(why_not, every), strict=True))
    for item in ours:
        name = reference(item)
        if item["kind"] == "Job":
            if live.get(name, {}).get("status", {}).get("failed") and not live[name]["status"].get("succeeded"):
                why = {name: f"it failed: make logs ROLE={role_of(item)} {WITH_OVERLAY}"}
                yield Row(role_of(item), wanted=1, reasons=why)
        elif name not in live:
            yield Row(item["metadata"]["name"], wanted=1, reasons={name: f"not there: make up {WITH_OVERLAY}"})
        else:
            yield row(live[name], by_workload[name], reasons)


def row(item: Object, its_pods: list[Object], reasons: dict[str, str]) -> Row:
    """The row of a workload on the cluster."""
    mine = {pod["metadata"]["name"]: reasons[pod["metadata"]["name"]] for pod in its_pods}
    conditions = {entry["type"]: entry for entry in item["status"].get("conditions", ())}
    if len(mine) < item["spec"]["replicas"] and conditions.get("ReplicaFailure", {}).get("status") == "True":
        mine[reference(item)] = conditions["ReplicaFailure"]["message"]  # a quota, a policy
    return Row(
        item["metadata"]["name"],
        running=sum(map(running, its_pods)),
        ready=min(sum(not why for why in mine.values()), item["spec"]["replicas"]),
        wanted=item["spec"]["replicas"],
        version=next(each["image"] for each in item["spec"]["template"]["spec"]["containers"] if each["name"] == "app"),
        since=youngest(moment(pod["status"].get("startTime")) for pod in its_pods),
        restarts=sum(state["restartCount"] for pod in its_pods for state in pod["status"].get("containerStatuses", ())),
        reasons={name: why for name, why in mine.items() if why},
    )


def why_not(pod: Object) -> str:
    """Why a pod is not ready, or an empty string. Of our roles the check is asked: a web stays in service without
    Redis, so the cluster calls it ready."""
    states = [*pod["status"].get("initContainerStatuses", ()), *pod["status"].get("containerStatuses", ())]
    for state in states:
        waits: dict[str, Any] = state["state"].get("waiting") or {}
        if waits and waits["reason"] not in COMING:
            return f"{state['name']}: {waits['reason']} {waits.get('message', '')}".strip()
    role = pod["metadata"]["labels"]["app.kubernetes.io/name"]
    if running(pod) and role in ROLES:
        check = ("-c", "app", "--", "python", "app/service.py", "check", role, "--ready")
        return said_by_check(["kubectl", *space(), "exec", pod["metadata"]["name"], *check])
    if is_ready(pod):
        return ""
    for state in states:
        if "waiting" in state["state"] or "terminated" in state["state"]:
            continue
        if not state.get("ready"):
            return f"{state['name']} runs and is not ready: make logs ROLE={role} {WITH_OVERLAY}"
    conditions = {entry["type"]: entry for entry in pod["status"].get("conditions", ())}
    return conditions.get("PodScheduled", {}).get("message") or f"{pod['status']['phase']}: kubectl describe pod"


def moment(text: str | None) -> datetime | None:
    """A time as Kubernetes writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


if __name__ == "__main__":
    sys.exit(main(manage, logs, status))
