"""The Job that makes the Secret, on a real API server with the rights that it is given; in namespaces of its own."""

import base64
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bundle.rendering import K8S, combinations, objects_of
from tests.waiting import wait_until

KINDS = ("Job", "Role", "RoleBinding", "ServiceAccount", "ConfigMap")
# In the place of its pod: the same file, the same token and rights, as a process of this machine.
RUN = """
import sys; sys.argv = ["make_secrets.py"]; sys.path.insert(0, {folder!r})
import make_secrets as job
from pathlib import Path
import subprocess
job.TOKEN, job.KEYS, job.API = Path({home!r}), Path({home!r}) / "keys", {api!r}
ask, meanwhile = job.ask, {meanwhile!r}
def late(path, body=None, method=""):
    if method == "PATCH" and meanwhile:  # after it has looked, and before it writes
        subprocess.run(meanwhile, check=True, stdout=subprocess.DEVNULL)
        meanwhile.clear()
    return ask(path, body, method)
job.ask = late
sys.exit(job.main({within}))
"""


class Space:
    """A namespace with the Job's objects in it, and the Job as a process."""

    def __init__(self, home: Path, overlay: str = "quickstart") -> None:
        self.home, self.name = home, f"secret-{uuid.uuid4().hex[:8]}"
        self.objects = [
            item | {"metadata": item["metadata"] | {"namespace": self.name}}
            for item in objects_of(combinations()[overlay])
            if item["kind"] in KINDS and any(word in item["metadata"]["name"] for word in ("secret-keys", "-secrets"))
        ]
        for item in self.objects:
            for subject in item.get("subjects", ()):
                subject["namespace"] = self.name
        (keys,) = [item["data"] for item in self.objects if item["metadata"]["name"] == "secret-keys"]
        self.keys: dict[str, str] = keys
        self.kubectl("create", "namespace", self.name)

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        command = ["kubectl", "--namespace", self.name, *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def apply(self, *kinds: str) -> None:
        wanted = [item for item in self.objects if item["kind"] in (kinds or KINDS)]
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(wanted))

    def prepare(self) -> None:
        """What the pod would be given."""
        self.apply("Role", "RoleBinding", "ServiceAccount")
        (self.home / "token").write_text(self.kubectl("create", "token", "make-secrets").strip())
        (self.home / "namespace").write_text(self.name)
        view = json.loads(self.kubectl("config", "view", "--raw", "--minify", "-o", "json"))["clusters"][0]["cluster"]
        self.api = view["server"]
        (self.home / "ca.crt").write_bytes(base64.b64decode(view["certificate-authority-data"]))
        (self.home / "keys").mkdir()
        self.ask_for(self.keys)

    def ask_for(self, keys: dict[str, str]) -> None:
        for key, kind in keys.items():
            (self.home / "keys" / key).write_text(kind)

    def start(self, within: float, *meanwhile: str) -> subprocess.Popen[str]:
        """`meanwhile` is a command for the moment in which the Job has looked and not yet written."""
        program = RUN.format(
            folder=str(K8S / "base"), home=str(self.home), api=self.api, within=within, meanwhile=list(meanwhile)
        )
        command = [sys.executable, "-B", "-c", program]
        env = os.environ | {"ACCOUNT": "make-secrets"}
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def job(self, within: float = 0) -> str:
        """What is wrong, says the Job."""
        out, wrong = self.start(within).communicate(timeout=60)
        return wrong.strip() or f"fine: {out}"

    def data(self) -> dict[str, str]:
        return dict(json.loads(self.kubectl("get", "secret", "app-secrets", "-o", "json"))["data"])

    def patch(self, patch: Any) -> None:
        self.kubectl("patch", "secret", "app-secrets", "--type=merge", "-p", json.dumps(patch))


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Space]:
    space = Space(tmp_path)
    yield space
    space.kubectl("delete", "namespace", space.name, "--wait=false")


def test_a_key_more_is_added_and_what_is_there_stays(space: Space) -> None:
    space.prepare()
    assert space.job(within=30).startswith("fine: ")
    before = space.data()
    assert before.keys() == space.keys.keys()
    space.patch({"stringData": {"mail_password": "mine"}})

    space.ask_for({"new_token": "random"})
    assert "added to the Secret app-secrets: new_token" in space.job()
    after = space.data()
    assert after.pop("new_token")
    assert base64.b64decode(after.pop("mail_password")) == b"mine"
    assert after == before

    space.ask_for({"provider_password": "given"})
    assert "lacks provider_password. Only you know them: kubectl -n " in space.job()
    for owner in (
        {"labels": {"reconcile.external-secrets.io/managed": "true"}},
        {"labels": None, "annotations": {"sealedsecrets.bitnami.com/managed": "true"}},
    ):
        space.patch({"metadata": owner, "data": {"new_token": None}})
        assert "so nothing is written to it: add them there" in space.job()
        assert "new_token" not in space.data()
    space.patch({"metadata": {"annotations": None}, "immutable": True})
    assert "It is immutable, so nothing is written" in space.job()
    assert {key: space.data()[key] for key in before} == before


def test_jobs_at_once_make_one_secret_and_none_overwrites_another(space: Space) -> None:
    space.prepare()
    for keys in (space.keys, {f"new_{number}": "random" for number in range(3)}):
        space.ask_for(keys)
        running = [space.start(within=30) for _ in range(3)]
        said = [job.communicate(timeout=60) for job in running]
        assert [job.returncode for job in running] == [0, 0, 0], said
        # One wrote; who came second found it written.
        assert sum("made the Secret" in out or "added to" in out for out, _ in said) == 1, said


def test_what_somebody_writes_in_the_same_moment_is_not_overwritten(space: Space) -> None:
    space.prepare()
    assert space.job(within=30).startswith("fine: ")
    space.ask_for({"new_token": "random"})
    patch = json.dumps({"stringData": {"new_token": "mine"}})
    job = space.start(30, "kubectl", "-n", space.name, "patch", "secret", "app-secrets", "-p", patch)
    out, wrong = job.communicate(timeout=60)
    assert (job.returncode, "the object has been modified" in out) == (0, True), out + wrong
    assert base64.b64decode(space.data()["new_token"]) == b"mine"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_next_apply_runs_the_job_anew(space: Space) -> None:
    (job,) = [item for item in space.objects if item["kind"] == "Job"]
    job["spec"]["ttlSecondsAfterFinished"] = 2  # in place of 20 s
    space.apply()
    # The API server takes it away after it has ended well.
    wait_until(lambda: not space.kubectl("get", "job", "-o", "name"), 60, every=0.5)
    before = space.data()
    assert before.keys() == space.keys.keys()

    space.keys["one_more"] = "random"
    job["spec"]["template"]["metadata"]["labels"]["team"] = "a"
    space.apply()
    wait_until(lambda: "one_more" in space.data(), 60, every=0.5)
    after = space.data()
    del after["one_more"]
    assert after == before
