"""A worker of its own for a queue is four lines on each runtime, as docs/queues.md has them."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.broker.configuration import configuration
from tests.bundle.rendering import K8S, ONE_MORE, PROJECT, combinations, objects_of, pod_of

PAGE = (PROJECT / "docs/queues.md").read_text()
OWN = {"WORKER_QUEUES": "emails", "WORKER_CONCURRENCY": "4", "WORKER_POOL": "threads"}


def block(heading: str) -> str:
    """The first block of code below a heading of the page."""
    return re.findall(r"```\w+\n(.*?)```", PAGE.partition(f"### {heading}\n")[2], re.DOTALL)[0]


def program(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` as a script of deploy/ with the workers.ini and the run folder of `folder`."""
    start = (
        "import sys; sys.path.insert(0, 'deploy'); import workers; from pathlib import Path;"
        f"folder = Path({str(folder)!r}); workers.OWN = folder / 'workers.ini'; workers.COPIES = folder;"
    )
    env = {"SECRET_KEY": "u", "REDIS_PASSWORD": "u"}
    return subprocess.run(
        [sys.executable, "-c", f"{start}{code}"], cwd=PROJECT, env=env, capture_output=True, text=True, check=False
    )


def test_on_compose_it_is_the_worker_with_variables_of_its_own(tmp_path: Path) -> None:
    if not shutil.which("docker"):
        pytest.skip("docker is not on PATH")
    shutil.copy(PROJECT / "compose.yaml", tmp_path)
    (tmp_path / "compose.override.yaml").write_text(block("Compose"))
    command = ["docker", "compose", "config", "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]

    assert services["worker-emails"]["environment"] == services["worker"]["environment"] | OWN
    assert services["worker-emails"] | {"environment": None} == services["worker"] | {"environment": None}
    assert len(block("Compose").splitlines()) == 4


def test_on_kubernetes_it_is_the_block_that_the_component_shows() -> None:
    assert block("Kubernetes") == combinations()["k8s/components/queue#0"]
    assert len(block("Kubernetes").partition("# emails/")[2].splitlines()) == 1 + 4


def test_on_kubernetes_what_concerns_the_worker_leaves_those_of_queues() -> None:
    """An autoscaler of the one, its number and its image's name, in an overlay with two of the others."""
    video = ONE_MORE.replace("emails", "video")
    text = (
        "# kustomization.yaml\nresources: [../../base, emails, video]\nnamespace: shop\n"
        "components: [../../components/postgres, ../../components/queue, ../../components/autoscaling-keda]\n"
        "images: [{name: django-celery-stack, newName: shop, newTag: '7'}]\n"
        f"replicas: [{{name: worker-for-video, count: 3}}]\n{ONE_MORE}\n{video}"
    )
    found = {item["metadata"]["name"]: item for item in objects_of(text) if item["kind"] == "Deployment"}
    numbers = {name: item["spec"].get("replicas") for name, item in found.items() if name.startswith("worker")}
    assert numbers == {"worker": None, "worker-for-emails": 1, "worker-for-video": 3}
    assert {item["metadata"]["namespace"] for item in objects_of(text) if item["kind"] != "Namespace"} == {"shop"}
    for name in numbers:
        pod = pod_of(found[name])
        assert {each["image"] for each in [*pod["containers"], *pod["initContainers"]]} == {"shop:7"}


def test_under_supervisord_it_is_the_worker_with_variables_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "workers.ini").write_text(block("On a VM, under supervisord"))
    done = program(tmp_path, "workers.check_own({'SECRET_KEY': 'u', 'REDIS_PASSWORD': 'u'}); workers.write([2])")
    assert done.returncode == 0, done.stderr

    programs = configparser.RawConfigParser()
    programs.read([PROJECT / "supervisord.conf", *tmp_path.glob("*.conf")])
    worker, own, second = (programs[f"program:{name}"] for name in ("worker", "worker-emails", "worker-2"))
    variables = "".join(f',{name}="{value}"' for name, value in OWN.items())
    assert own["environment"] == worker["environment"] + variables
    assert second["environment"] == worker["environment"]
    assert dict(own) | {"environment": ""} == dict(second) | {"environment": ""}
    assert len(block("On a VM, under supervisord").splitlines()) == 4

    (tmp_path / "workers.ini").unlink()
    program(tmp_path, "workers.write(workers.numbered())")
    assert [file.name for file in tmp_path.iterdir()] == ["worker-2.conf"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[emails]\nWORKER_QUEUES=emails", "[emails] must be [worker-<word>]"),
        ("[worker-2]\nWORKER_QUEUES=emails", "[worker-2] must be [worker-<word>]"),
        ("[worker-emails]\nWORKER_POOL=solo", "[worker-emails] has no WORKER_QUEUES"),
        ("[worker-emails]\nWORKER_QUEUES=emails\nPOOL=solo", "[worker-emails] has POOL, which .env.example"),
        ("[worker-emails]\nWORKER_QUEUES=emails\nWORKER_POOL=x", "[worker-emails]: WORKER_POOL='x': it must be"),
        ("[worker-emails]\nWORKER_QUEUES=50%", 'holds a " or a %'),
        ("WORKER_QUEUES=emails", "workers.ini cannot be read"),
    ],
)
def test_what_workers_ini_cannot_mean_is_named(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "workers.ini").write_text(text)
    done = program(tmp_path, "workers.check_own({'SECRET_KEY': 'u', 'REDIS_PASSWORD': 'u'})")
    assert told in done.stderr.splitlines()[-1], done.stderr


def test_the_lists_for_an_autoscaler_are_those_of_the_transport() -> None:
    env = {"SECRET_KEY": "u", "REDIS_PASSWORD": "u"}
    sep = configuration("worker", env)["broker_transport_options"]["sep"]
    assert ", ".join(f"`emails{sep}{step}`" for step in (3, 6, 9)) in PAGE
    assert (K8S / "components/autoscaling-keda/worker.yaml").read_text().count("listName: celery") == 1
