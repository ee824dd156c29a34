"""What a project brings along, on Kubernetes and on compose: each container that runs its code has all of it."""

import json

import yaml

from tests.bundle.rendering import PROJECT, objects_of, pod_of

COMPONENTS = ("postgres", "queue", "cache", "project-secrets")


def test_each_container_that_runs_the_code_has_the_secrets_of_the_project() -> None:
    components = [f"../../components/{name}" for name in COMPONENTS]
    objects = objects_of(json.dumps({"resources": ["../../base"], "components": components}))
    seen = {}
    for item in objects:
        if item["kind"] == "Deployment":
            pod = pod_of(item)
            for container in [*pod["containers"], *pod.get("initContainers", ())]:
                mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
                seen[item["metadata"]["name"], container["args"][0]] = mounts
                secret = {entry["name"]: entry["value"] for entry in container.get("env", ())}
                given = "CACHE_PASSWORD_FILE" in secret
                assert given is ("/run/cache" in mounts), f"{item['metadata']['name']}: the password without its file"
    assert len(seen) >= 6
    for (name, role), mounts in seen.items():
        assert ("/run/project/secrets" in mounts) is (role != "flower"), f"{role} of {name}"
        assert ("/run/cache" in mounts) is (role != "flower"), f"{role} of {name}"


def test_compose_gives_the_variables_of_env_to_the_roles_alone() -> None:
    services = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
    given = {name for name, service in services.items() if service.get("env_file")}
    assert given == {"web", "worker", "beat", "flower", "migrate"}


def test_the_cache_is_the_same_on_compose_and_kubernetes() -> None:
    service = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]["cache"]
    stateful, *_ = yaml.safe_load_all((PROJECT / "k8s/components/cache/cache.yaml").read_text())
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    assert service["image"] == container["image"]
    assert "./k8s/components/cache/cache.conf:/etc/cache.conf:ro" in service["volumes"]
    conf = (PROJECT / "k8s/components/cache/cache.conf").read_text()
    assert "\nmaxmemory 128mb\n" in conf
    assert "${CACHE_MAXMEMORY:-128mb}" in service["command"]
    # At most half of the limit.
    assert (service["mem_limit"], container["resources"]["limits"]["memory"]) == ("${CACHE_MEMORY:-256m}", "256Mi")
    assert service["profiles"] == ["cache"], "the quickstart starts none"
