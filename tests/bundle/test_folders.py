"""The folders that pods may write: a small /tmp in each, and the volume of uploads where web and workers meet."""

import pytest

from stack.runtime.roles import ROLES
from tests.bundle.rendering import ALL, app_of, pod_of, render, workloads

MEDIA = "k8s/components/media#0"


@pytest.mark.parametrize("combination", ALL)
def test_every_role_has_a_small_tmp_of_its_own(combination: str) -> None:
    for name, item in workloads(combination).items():
        pod = pod_of(item)
        for container in [*pod["containers"], *pod.get("initContainers", ())]:
            if container.get("args", [""])[0] in ROLES:
                mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
                (volume,) = [each for each in pod["volumes"] if each["name"] == mounted["/tmp"]]
                assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}, name


def test_web_and_worker_share_the_volume_of_uploads_on_any_node() -> None:
    claim = render(MEDIA)["PersistentVolumeClaim", "media"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for name in ("web", "worker"):
        pod = pod_of(render(MEDIA)["Deployment", name])
        assert {"name": "media", "persistentVolumeClaim": {"claimName": "media"}} in pod["volumes"], name
        mounts = app_of(render(MEDIA)["Deployment", name])["volumeMounts"]
        assert {"name": "media", "mountPath": "/srv/media"} in mounts, name
        assert pod["securityContext"]["fsGroup"] == 10001
    assert "persistentVolumeClaim" not in str(pod_of(render(MEDIA)["Deployment", "beat"]))
