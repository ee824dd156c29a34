"""Build the image under a tag, and push it: `make image TAG=1.2.3 REGISTRY=registry.example.com/team`.

Kubernetes needs one image. TARGET=compose builds and pushes the proxy too. Without REGISTRY nothing is pushed.
Variables: TAG, REGISTRY, TARGET, IMAGE (its last word is the name in the registry), PLATFORM (as linux/amd64).
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping

from checkout import PROJECT, Stop
from containers import docker, needs_engine

# A registry takes more, but on Kubernetes the tag is a label too.
TAG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
WORD = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
# A host may have a port; each further word is a folder of the registry.
PLACE = re.compile(rf"(?:{WORD}|\[[0-9a-f:]+\])(?::[0-9]+)?(?:/{WORD})*")
# What the engine says, and what to do about it. The first line that fits is taken.
REFUSALS = {
    r"no basic auth credentials|unauthorized|authentication required|denied|forbidden": (
        "log in with an account that may write there: docker login {host}"
    ),
    r"HTTP response to HTTPS client": "{host} speaks no TLS: give it a certificate, or name it in "
    "`insecure-registries` of the engine's /etc/docker/daemon.json",
    r"x509|certificate": "the engine does not trust the certificate of {host}: put its CA into "
    "/etc/docker/certs.d/{host}/ca.crt",
    r"no such host|connection refused|timeout|unreachable|EOF": "{host} does not answer: is REGISTRY right?",
    r"": "the registry {host} refused it",
}


def checked(env: Mapping[str, str]) -> tuple[str, str]:
    """The runtime to build for, and the registry or an empty string.

    Raises:
        Stop: a variable has a value that cannot work.
    """
    for name in ("TAG", "REGISTRY", "TARGET", "PLATFORM"):
        if not env.get(name, "any"):
            raise Stop(f"{name} is empty: give it a value, or leave it out")
    if (target := env.get("TARGET", "k8s")) not in ("k8s", "compose"):
        raise Stop(f"TARGET is k8s or compose, not {target!r}: the other runtimes need no image")
    tag, registry = env.get("TAG"), env.get("REGISTRY", "").rstrip("/")
    if tag and not TAG.fullmatch(tag):
        raise Stop(
            f"TAG={tag!r} is no tag: up to 63 letters, digits, _ . and -, the first and the last a letter or a digit"
        )
    if "://" in registry:
        raise Stop(
            f"REGISTRY={registry!r}: leave {registry.partition('://')[0]}:// out, as in registry.example.com/team"
        )
    if "REGISTRY" in env and not PLACE.fullmatch(registry):
        raise Stop(f"REGISTRY={registry!r} is no place for an image: lower case, as in registry.example.com:5000/team")
    return target, registry


def images(target: str) -> tuple[list[str], list[str]]:
    """The services to build, and the images of the stack that come of it: the app's, then the proxy's.

    Raises:
        Stop: no engine answers, compose is not installed, or its files cannot be read.
    """
    needs_engine("make image needs a Docker engine")
    try:
        docker("compose", "version")
    except Stop:
        raise Stop("make image needs Docker's compose plugin: install docker-compose-plugin") from None
    services = json.loads(docker("compose", "config", "--format", "json"))["services"]
    app, proxy = services["web"]["image"], services["proxy"]["image"]
    # Compose needs what else its files build, too: a service that a team has added.
    builds = [name for name, about in services.items() if "build" in about]
    if target == "compose":
        return builds, [app, proxy]
    return [name for name in builds if services[name].get("image") == app], [app]


def build(names: list[str], env: Mapping[str, str]) -> None:
    """Build these services. What the engine says goes to the terminal.

    Raises:
        Stop: the build failed.
    """
    platform = {"DOCKER_DEFAULT_PLATFORM": env["PLATFORM"]} if "PLATFORM" in env else {}
    done = subprocess.run(["docker", "compose", "build", *names], cwd=PROJECT, env={**env, **platform}, check=False)
    if done.returncode:
        raise Stop("the build failed, and the lines above say why; nothing was pushed")


def describe(image: str) -> str:
    """One line: what was built."""
    about = json.loads(docker("image", "inspect", image))[0]
    labels = about["Config"].get("Labels") or {}
    commit = labels.get("org.opencontainers.image.revision", "")
    size = f"{about['Os']}/{about['Architecture']}, {about['Size'] / 1e6:.0f} MB"
    return f"built   {image}  ({size}{f', commit {commit}' if commit else ''})"


def push(image: str, registry: str) -> str:
    """Push an image under its name in the registry; that name and the digest that it has there.

    Raises:
        Stop: the registry did not take it.
    """
    path, _, tag = image.rpartition(":")
    name = f"{registry}/{path.rpartition('/')[2]}:{tag}"
    docker("tag", image, name)
    before = digest_there(name)
    print(f"pushing {name} ...", flush=True)
    try:
        said = docker("push", name)
    except Stop as reason:
        first = registry.partition("/")[0]
        host = first if re.search(r"[.:]|^localhost$", first) else "docker.io"
        said = str(reason)
        fix = next(fix for pattern, fix in REFUSALS.items() if re.search(pattern, said, re.IGNORECASE))
        line = said.splitlines()[-1]
        raise Stop(f"{name} is built and was not pushed: {fix.format(host=host)}\n({line})") from None
    digest = re.findall(r"sha256:[0-9a-f]{64}", said)[-1]
    print(f"pushed  {name}  ({digest})", flush=True)
    if before not in ("", digest):
        print(f"        This tag had another image ({before}). A node that has that one keeps it: take a new TAG.")
    return name


def digest_there(name: str) -> str:
    """The digest that this tag has in the registry now, or an empty string where that cannot be known."""
    try:
        found = re.search(r"^Digest: *(\S+)", docker("buildx", "imagetools", "inspect", name), re.MULTILINE)
    except Stop:
        return ""
    return found[1] if found else ""


def main(env: Mapping[str, str]) -> None:
    target, registry = checked(env)
    services, names = images(target)
    build(services, env)
    print("\n".join(map(describe, names)), flush=True)
    if not env.get("REVISION"):
        print("no commit is in the labels: run it by make, in a git checkout that this user owns")
    if not registry:
        print("nothing was pushed: REGISTRY=registry.example.com/team names the place")
        return
    pushed = [push(name, registry) for name in names]
    path, _, tag = pushed[0].rpartition(":")
    if target == "k8s":
        print("\nIn the kustomization.yaml of your overlay:\nimages:")
        print(f'  - {{name: django-celery-stack, newName: {path}, newTag: "{tag}"}}')
        if ":" in path:
            print("Leave `transformers: [../../version]` out of it: that label cannot be made of a name with a port.")
    else:
        print(f"\nIn .env of each host:\nIMAGE={path}\nTAG={tag}\nPULL_POLICY=missing")


if __name__ == "__main__":
    try:
        main(os.environ)
    except Stop as reason:
        sys.exit(str(reason))
