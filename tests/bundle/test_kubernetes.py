"""The rendered manifests: valid, restricted, and in agreement with the role table, compose and supervisord."""

import configparser
import json
import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from stack import __version__
from stack.ops import secretfiles
from stack.runtime.env import VARS, get
from stack.runtime.roles import ROLES, problems
from stack.worker.shutdown import RESERVE
from tests.bundle.rendering import ALL, K8S, PROJECT, app_of, combinations, environment_of, pod_of, render, workloads

# The oldest and the newest Kubernetes that the README supports.
VERSIONS = ("1.33", "1.37")
LONG_RUNNING = {"web", "worker", "beat", "flower"}
# What the addresses are built of: the names of the Services.
NAMES = {"REDIS_SERVICE", "DATABASE_SERVICE", "CACHE_SERVICE", "WEB_SERVICE"}
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
FOREIGN = ("ScaledObject", "TriggerAuthentication", "HTTPRoute", "SealedSecret", "ExternalSecret")
every_combination = pytest.mark.parametrize("combination", ALL)


@every_combination
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid_in_the_oldest_and_the_newest_kubernetes(combination: str, version: str) -> None:
    for (kind, _), item in render(combination).items():
        if kind in FOREIGN:
            schema = json.loads((Path(__file__).parent / "schemas" / f"{kind}.json").read_text())
            jsonschema.Draft7Validator(schema).validate(item)
        else:
            kubernetes_validate.validate(item, version, strict=True)


def test_the_readme_supports_the_versions_that_are_validated() -> None:
    assert f"{VERSIONS[0]} to {VERSIONS[1]}" in (K8S / "README.md").read_text()


def test_every_component_has_a_readme_and_is_part_of_a_tested_combination() -> None:
    folders = {path.name for path in (K8S / "components").iterdir()}
    assert {path.parent.name for path in K8S.glob("components/*/README.md")} == folders
    texts = [*combinations().values(), *(path.read_text() for path in K8S.glob("overlays/*/kustomization.yaml"))]
    built = set(re.findall(r"components/([a-z-]+)", "".join(texts)))
    assert built == folders


@every_combination
def test_everything_is_in_one_namespace(combination: str) -> None:
    objects = render(combination)
    spaces = {item["metadata"].get("namespace") for (kind, _), item in objects.items() if kind != "Namespace"}
    spaces |= {item["metadata"]["name"] for (kind, _), item in objects.items() if kind == "Namespace"}
    assert spaces in ({"django-celery-stack"}, {"django-celery-stack-dev"})


def test_the_namespace_is_a_component_and_takes_restricted_pods_only() -> None:
    having = {name for name in ALL for kind, _ in render(name) if kind == "Namespace"}
    gitops = {f"k8s/components/{tool}#0" for tool in ("argocd", "flux")}
    assert having == {"quickstart", "dev", "example", "production", "k8s/components/namespace#0"} | gitops
    for name in having:
        labels = render(name)["Namespace", render(name)["Deployment", "web"]["metadata"]["namespace"]]["metadata"]
        assert labels["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@every_combination
def test_every_pod_is_locked(combination: str) -> None:
    for name, item in workloads(combination).items():
        pod = pod_of(item)
        assert pod["enableServiceLinks"] is False, name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["securityContext"]["runAsUser"] == (999 if name in ("redis", "db", "cache") else 10001), name
        for container in [*pod["containers"], *pod.get("initContainers", ())]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert {"cpu", "memory"} <= container["resources"]["limits"].keys(), name
            assert "command" not in container, f"{name}: a role is an argument of the image's entrypoint"


@every_combination
def test_every_image_has_a_version(combination: str) -> None:
    for item in workloads(combination).values():
        for container in [*pod_of(item)["containers"], *pod_of(item).get("initContainers", ())]:
            assert re.fullmatch(r"[\w./:-]+:(?!latest)\w[\w.-]*", container["image"]), container["image"]


def test_the_tag_is_the_version_here_and_in_compose() -> None:
    assert f"newTag: {__version__}\n" in (K8S / "base" / "kustomization.yaml").read_text()
    assert f"${{TAG:-{__version__}}}" in (PROJECT / "compose.yaml").read_text()


@every_combination
def test_every_role_runs_by_its_word_and_is_checked_by_it(combination: str) -> None:
    for name, item in workloads(combination).items():
        if item["kind"] != "Deployment":
            continue
        role = app_of(item)["args"][0]
        assert role in LONG_RUNNING
        assert name.startswith(role)
        check = ["python", "app/service.py", "check", role]
        assert app_of(item)["livenessProbe"]["exec"]["command"] == check, "liveness must not ask Redis or a database"
        probes = [app_of(item)[f"{probe}Probe"] for probe in ("startup", "readiness", "liveness")]
        assert all(probe["exec"]["command"] in (check, [*check, "--ready"]) for probe in probes)
        assert any("--ready" in probe["exec"]["command"] for probe in probes)
        assert all(probe["timeoutSeconds"] >= 5 for probe in probes), "the default of 1 s is too short for a busy node"
        for container in pod_of(item).get("initContainers", ()):
            assert set(container["args"]) <= set(ROLES)


@every_combination
def test_beat_is_single(combination: str) -> None:
    assert render(combination)["Deployment", "beat"]["spec"]["replicas"] == 1


@every_combination
def test_a_roll_out_takes_no_pod_away_before_the_next_one_is_ready(combination: str) -> None:
    for name, item in workloads(combination).items():
        if item["kind"] == "Deployment":
            assert item["spec"]["strategy"] == ROLLING, name
    assert app_of(render(combination)["Deployment", "web"])["lifecycle"]["preStop"]["sleep"]["seconds"] >= 5


@every_combination
def test_nobody_starts_before_the_migrations_are_applied(combination: str) -> None:
    for name, item in workloads(combination).items():
        if item["kind"] == "Deployment":
            (first,) = pod_of(item)["initContainers"]
            assert first["name"] == first["args"][0] == ("migrate" if name == "web" else "wait"), name


@every_combination
def test_stop_times_are_in_order(combination: str) -> None:
    for name, item in workloads(combination).items():
        if item["kind"] != "Deployment":
            continue
        container = app_of(item)
        grace = get("STOP_GRACE", environment_of(combination, name, container))
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert grace - RESERVE > 0
        assert pause + grace <= pod_of(item)["terminationGracePeriodSeconds"]
        supervisor = configparser.RawConfigParser()
        supervisor.read(PROJECT / "supervisord.conf")
        assert grace <= int(supervisor[f"program:{container['args'][0]}"]["stopwaitsecs"])
        assert f"STOP_GRACE:-{grace}" in (PROJECT / "compose.yaml").read_text()


@every_combination
def test_every_variable_is_known_and_every_secret_file_is_mounted(combination: str, tmp_path: Path) -> None:
    known = {name for var in VARS.values() for name in ([var.name, f"{var.name}_FILE"][: 1 + (var.kind == "secret")])}
    for name, item in workloads(combination).items():
        if item["kind"] != "Deployment":
            continue
        secrets = {volume["name"]: volume["secret"] for volume in pod_of(item)["volumes"] if "secret" in volume}
        for container in [app_of(item), *pod_of(item).get("initContainers", ())]:
            environment = environment_of(combination, name, container)
            assert set(environment) <= known | NAMES
            # As the pod sees it: the files that are mounted, and no others.
            for mount in container["volumeMounts"]:
                folder = tmp_path / mount["mountPath"].removeprefix("/run/")
                for entry in secrets.get(mount["name"], {"items": ()}).get("items", [{"path": "stripe_key"}]):
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / entry["path"]).write_text("x" * 50)
            files = {key: f"{tmp_path}/{value[5:]}" for key, value in environment.items() if key.endswith("_FILE")}
            assert problems(container["args"][0], environment | files | {"SERVICE_ROLE": container["args"][0]}) == []
            shutil.rmtree(tmp_path)
            tmp_path.mkdir()


def test_compose_and_kubernetes_give_a_role_the_same_environment() -> None:
    compose = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
    # Where a host's ports are, and its own proxy; the image's own; on Kubernetes the component cache has its own.
    own = {"WEB_ADDRESS", "WEB_BIND", "FLOWER_BIND", "TRUSTED_PROXIES", "RUN_DIR", "STATIC_ROOT", "MEDIA_ROOT"}
    own |= {"CACHE_PASSWORD_FILE"}
    shared = {"FLOWER_PASSWORD_FILE", "API_TOKEN_FILE", "SECRET_KEY_FILE", "DATABASE_URL", "ALLOWED_HOSTS"}
    for role in sorted(LONG_RUNNING):
        ours = set(environment_of("quickstart", role, app_of(render("quickstart")["Deployment", role])))
        assert set(compose[role]["environment"]) - own <= ours, role
        assert ours - set(compose[role]["environment"]) - NAMES <= shared, role
        assert compose[role]["command"] == app_of(render("quickstart")["Deployment", role])["args"]


def items_of(volumes: dict[str, dict[str, Any]], name: str) -> list[dict[str, str]]:
    return list(volumes.get(name, {}).get("items", ()))


def test_each_container_sees_its_own_secrets_only() -> None:
    seen: dict[str, set[str]] = {}
    for name, item in workloads("quickstart").items():
        volumes = {volume["name"]: volume["secret"] for volume in pod_of(item)["volumes"] if "secret" in volume}
        assert all(secret["items"] for secret in volumes.values()), f"{name} mounts the whole Secret"
        for container in [app_of(item), *pod_of(item).get("initContainers", ())]:
            keys = [entry["key"] for mount in container["volumeMounts"] for entry in items_of(volumes, mount["name"])]
            seen[name if container["name"] == "app" else f"{name}, {container['name']}"] = set(keys)
    mine = {"web": {"api_token", "secret_key"}, "worker": {"secret_key"}, "beat": {"secret_key"}}
    mine["flower"] = {"flower_password"}
    for role in LONG_RUNNING:
        wanted = mine[role] | {f"{role}_redis_password"} | ({"database_password"} if role != "flower" else set())
        assert seen[role] == wanted
    # It runs the project's code, as Flower itself does not.
    assert seen["flower, wait"] == {"secret_key", "database_password", "flower_redis_password"}
    assert seen["db"] == {"postgres_password", "database_password"}


def test_the_users_of_redis_are_those_of_the_other_runtimes() -> None:
    assert (K8S / "base" / "users.acl").read_text() == secretfiles.cluster_acl(), "run: make redis-users"
    cache = K8S / "components" / "cache" / "users.acl"
    assert cache.read_text() == secretfiles.cluster_cache_acl(), "run: make redis-users"


def test_one_more_queue_is_a_worker_like_the_first() -> None:
    combination = "k8s/components/queue#0"
    first, second = (render(combination)["Deployment", name] for name in ("worker", "worker-for-emails"))

    def bare(item: dict[str, Any]) -> Any:
        text = json.dumps(item["spec"]["template"]).replace('"queue": "emails"', '"queue": "default"')
        pod = json.loads(text)
        for container in [*pod["spec"]["containers"], *pod["spec"]["initContainers"]]:
            container["envFrom"] = container["envFrom"][:1]
        return pod

    assert bare(first) == bare(second)
    assert second["spec"]["selector"]["matchLabels"]["queue"] == "emails"
    own = environment_of(combination, "worker-for-emails", app_of(second))
    assert (own["WORKER_QUEUES"], own["WORKER_CONCURRENCY"], own["WORKER_POOL"]) == ("emails", "4", "threads")
    assert environment_of(combination, "worker-for-emails", pod_of(second)["initContainers"][0]) == own


def test_overlays_are_short() -> None:
    """All but the example, which has an option for everything that people change."""
    found = [path for path in K8S.glob("overlays/*/kustomization.yaml") if path.parent.name != "example"]
    assert all(len(path.read_text().splitlines()) <= 20 for path in found)


@every_combination
def test_no_ingress_leads_to_flower_whose_health_check_is_open(combination: str) -> None:
    ingresses = [item["spec"] for (kind, _), item in render(combination).items() if kind == "Ingress"]
    paths = [path for spec in ingresses for rule in spec["rules"] for path in rule["http"]["paths"]]
    services = {path["backend"]["service"]["name"] for path in paths}
    services |= {spec["defaultBackend"]["service"]["name"] for spec in ingresses if "defaultBackend" in spec}
    routes = [item["spec"] for (kind, _), item in render(combination).items() if kind == "HTTPRoute"]
    services |= {ref["name"] for spec in routes for rule in spec["rules"] for ref in rule["backendRefs"]}
    assert services <= {"web"}
    exposed = {
        item["spec"].get("type", "ClusterIP") for (kind, _), item in render(combination).items() if kind == "Service"
    }
    assert exposed == {"ClusterIP"}


@every_combination
def test_the_web_believes_private_addresses_only_behind_a_proxy(combination: str) -> None:
    objects = render(combination)
    web = objects["Deployment", "web"]
    trusted = [str(network) for network in get("TRUSTED_PROXIES", environment_of(combination, "web", app_of(web)))]

    proxy = {("Ingress", "web"), ("HTTPRoute", "web")} & set(objects) or combination == "k8s/components/hosts#0"
    private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
    assert trusted == ["127.0.0.1/32", "::1/128", *(private if proxy else [])]
