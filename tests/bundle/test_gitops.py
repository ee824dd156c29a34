"""What Argo CD and Flux are told, and secrets from elsewhere: no step by hand, and no data lost with an application."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.bundle.rendering import K8S, Objects, objects_of, render
from tests.bundle.test_scaling import scaled

ARGOCD, FLUX = "k8s/components/argocd#0", "k8s/components/flux#0"
ELSEWHERE = ("k8s/components/external-secrets#0", "k8s/components/sealed-secrets#0")
COMPONENTS = K8S / "components"
FILES = ("argocd/application.yaml", "flux/sync.yaml")
OPTIONS = "argocd.argoproj.io/sync-options"
FLUX_FORCE, FLUX_PRUNE = "kustomize.toolkit.fluxcd.io/force", "kustomize.toolkit.fluxcd.io/prune"


def with_every_volume(tool: str) -> list[dict[str, Any]]:
    """An overlay with all components that bring a claim, and then the tool's."""
    names = ("namespace", "postgres", "media", tool)
    return objects_of(
        json.dumps({"resources": ["../../base"], "components": [f"../../components/{name}" for name in names]})
    )


def annotated(objects: list[dict[str, Any]] | Objects, key: str) -> dict[str, set[str]]:
    """For each value of an annotation, the kinds of the objects that have it."""
    found: dict[str, set[str]] = {}
    for item in objects.values() if isinstance(objects, dict) else objects:
        if key in (notes := item["metadata"].get("annotations") or {}):
            found.setdefault(notes[key], set()).add(item["kind"])
    return found


def all_of(objects: list[dict[str, Any]], kind: str, key: str) -> bool:
    return all(key in item["metadata"].get("annotations", {}) for item in objects if item["kind"] == kind)


@pytest.mark.parametrize("file", FILES)
def test_what_each_tool_is_given_is_valid(file: str) -> None:
    for item in yaml.safe_load_all((COMPONENTS / file).read_text()):
        schema = json.loads((Path(__file__).parent / "schemas" / f"{item['kind']}.json").read_text())
        jsonschema.Draft7Validator(schema).validate(item)


def test_argo_cd_deletes_the_job_before_the_next_one() -> None:
    objects = render(ARGOCD)
    assert annotated(objects, "argocd.argoproj.io/hook") == {"Sync": {"Job"}}
    assert annotated(objects, "argocd.argoproj.io/hook-delete-policy") == {"BeforeHookCreation": {"Job"}}
    # Argo CD asks for none on a hook: a sync that does not see its end waits for it.
    assert "ttlSecondsAfterFinished" not in objects["Job", "make-secrets"]["spec"]


def test_argo_cd_leaves_the_data_and_what_holds_it() -> None:
    objects = with_every_volume("argocd")
    kept = {"Prune=false,Delete=false": {"Namespace", "PersistentVolumeClaim"}, "Prune=false": {"ConfigMap"}}
    assert annotated(objects, OPTIONS) == kept
    assert all_of(objects, "PersistentVolumeClaim", OPTIONS)
    claims = {item["metadata"]["name"] for item in objects if item["kind"] == "PersistentVolumeClaim"}
    assert claims == {"data-redis-0", "data-db-0", "media"}


def test_argo_cd_leaves_what_older_pods_read() -> None:
    objects = with_every_volume("argocd")
    assert annotated(objects, "argocd.argoproj.io/compare-options") == {"IgnoreExtraneous": {"ConfigMap"}}
    assert all_of(objects, "ConfigMap", OPTIONS)


def test_argo_cd_leaves_the_numbers_to_the_autoscaler() -> None:
    spec = yaml.safe_load((COMPONENTS / FILES[0]).read_text())["spec"]
    ignored = {each["name"]: each["jsonPointers"] for each in spec["ignoreDifferences"]}
    assert ignored == {name: ["/spec/replicas"] for name in scaled(ARGOCD)}
    # Without it, a sync for another reason sets the number back.
    assert "RespectIgnoreDifferences=true" in spec["syncPolicy"]["syncOptions"]


def test_a_sync_of_argo_cd_does_not_wait_for_pods_that_cannot_start() -> None:
    """With a second wave or phase it does, and the commit that mends it is applied only after ten minutes."""
    spec = yaml.safe_load((COMPONENTS / FILES[0]).read_text())["spec"]
    assert not {"CreateNamespace=true", "PruneLast=true"} & set(spec["syncPolicy"]["syncOptions"])
    assert annotated(render(ARGOCD), "argocd.argoproj.io/sync-wave") == {}
    # So the overlay makes the namespace, where the Application expects it.
    assert ("Namespace", spec["destination"]["namespace"]) in render(ARGOCD)


def test_flux_replaces_the_job_and_nothing_else() -> None:
    assert annotated(render(FLUX), FLUX_FORCE) == {"enabled": {"Job"}}
    *_, sync = yaml.safe_load_all((COMPONENTS / FILES[1]).read_text())
    assert "force" not in sync["spec"], "it would delete what Redis and PostgreSQL run in"


def test_flux_leaves_the_data_and_what_older_pods_read() -> None:
    objects = with_every_volume("flux")
    kept = {"Namespace", "PersistentVolumeClaim", "ConfigMap"}
    assert annotated(objects, FLUX_PRUNE) == {"disabled": kept}
    assert all(all_of(objects, kind, FLUX_PRUNE) for kind in kept)


def test_flux_waits_for_all_of_it_and_prunes() -> None:
    source, sync = yaml.safe_load_all((COMPONENTS / FILES[1]).read_text())
    assert sync["spec"]["sourceRef"] == {"kind": source["kind"], "name": source["metadata"]["name"]}
    assert (sync["spec"]["wait"], sync["spec"]["prune"]) == (True, True)


@pytest.mark.parametrize("combination", ELSEWHERE)
def test_the_job_may_not_write_a_secret_from_elsewhere(combination: str) -> None:
    objects = render(combination)
    (rule,) = objects["Role", "app-secrets"]["rules"]
    assert (rule["verbs"], rule["resourceNames"]) == (["get"], ["app-secrets"])
    assert ("Job", "make-secrets") in objects, "it names the keys that are missing"


@pytest.mark.parametrize(("combination", "kind"), list(zip(ELSEWHERE, ("ExternalSecret", "SealedSecret"), strict=True)))
def test_the_secret_from_elsewhere_is_the_one_that_pods_read(combination: str, kind: str) -> None:
    (made,) = [item for item in render(combination).values() if item["kind"] == kind]
    web = render(combination)["Deployment", "web"]
    read = {each["secret"]["secretName"] for each in web["spec"]["template"]["spec"]["volumes"] if "secret" in each}
    assert {made["metadata"]["name"]} == read
    assert made["metadata"]["namespace"] == web["metadata"]["namespace"]


KEYS = {"secret_key": "random", "database_password": "given", "keda_redis_address": "random"}


def new_secret(*arguments: str, name: str = "secret-keys", data: object = KEYS) -> subprocess.CompletedProcess[str]:
    """The script, with manifests as kustomize prints them."""
    about = {"labels": {"app.kubernetes.io/part-of": "django-celery-stack"}, "name": name, "namespace": "team-a"}
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about | {"name": "app"}, "data": {"A": "random"}}
    keys = {"apiVersion": "v1", "data": data, "kind": "ConfigMap", "metadata": about}
    command = [sys.executable, str(COMPONENTS / "sealed-secrets/new_secret.py"), *arguments]
    text = yaml.safe_dump_all([other, keys])
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_a_new_secret_has_a_value_for_each_key(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("mine\n")
    done = new_secret(f"database_password={tmp_path / 'password'}", name="shop-secret-keys")
    secret = json.loads(done.stdout)
    assert (secret["metadata"]["name"], secret["metadata"]["namespace"]) == ("shop-app-secrets", "team-a")
    values = secret["stringData"]
    assert values.keys() == KEYS.keys()
    assert values["database_password"] == "mine"
    assert values["keda_redis_address"] == "shop-redis.team-a.svc:6379"
    assert len(values["secret_key"]) > 50
    entry = new_secret(f"database_password={tmp_path / 'password'}", "--values")
    assert json.loads(entry.stdout).keys() == KEYS.keys()


@pytest.mark.parametrize(
    ("arguments", "data", "said"),
    [
        ((), KEYS, "only you know database_password: add database_password=FILE"),
        (("another_key=x",), KEYS, "another_key: not in the ConfigMap secret-keys, which has"),
        ((), None, "no ConfigMap secret-keys in what was read: pipe in `kubectl kustomize"),
    ],
    ids=["a given key is missing", "an unknown key", "no manifests"],
)
def test_a_new_secret_says_what_it_lacks(arguments: tuple[str, ...], data: object, said: str) -> None:
    done = new_secret(*arguments, data=data, name="secret-keys" if data else "another")
    assert done.returncode != 0
    assert said in done.stderr
    assert done.stdout == ""
