"""Make what is missing of the Secret app-secrets, and never change what is there. A Job of each apply: secrets.yaml.

The ConfigMap `secret-keys` says which keys the pods read: a file each, which holds `random` (it may be made here) or
`given` (only its owner knows the value). With --given all are the owner's, and nothing is made.
"""

import base64
import http.client
import json
import os
import secrets
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

TOKEN = Path("/run/token")
KEYS = Path("/keys")
API = "https://kubernetes.default.svc"
# An overlay that gives every name a prefix gives it to this one, too.
NAME = os.environ.get("SECRET", "app-secrets")
# Where KEDA, which is in another namespace, finds our Redis. No secret, but KEDA reads it beside its password.
ADDRESS = "keda_redis_address"
# Who writes Secrets in a cluster leaves a label or an annotation of its own.
WRITERS = (
    *("external-secrets.io", "sealedsecrets.bitnami.com", "secrets.hashicorp.com"),
    *("secrets.doppler.com", "secrets.infisical.com"),
)


def ask(path: str, body: object = None, method: str = "") -> tuple[int, dict]:
    """The status and the answer of the API server."""
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    request = urllib.request.Request(  # noqa: S310 (the address is a constant)
        API + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {(TOKEN / 'token').read_text()}", "Content-Type": kind},
        method=method or None,
    )
    context = ssl.create_default_context(cafile=str(TOKEN / "ca.crt"))
    # The certificate is verified; but many a cluster's own CA lacks the extensions that Python 3.13 asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:  # it is an answer, and it holds the connection
            return error.code, json.load(error)


def main(within: float = 60) -> str | None:
    """What is wrong, or None. In a pod's first moments the API server may not answer or may not know its rights yet,
    and who gives a key may be about to."""
    keys = {file.name: file.read_text().strip() for file in sorted(KEYS.glob("[!.]*"))}
    if wrong := [f"{key}={kind!r}" for key, kind in keys.items() if kind not in ("random", "given")]:
        return f"the ConfigMap secret-keys has {', '.join(wrong)}: it must be random or given"
    end, seen = time.monotonic() + within, ""
    while True:
        try:
            problem = make(keys, "--given" in sys.argv[1:])
        except (OSError, ValueError, http.client.HTTPException) as error:
            problem = f"the API server does not answer: {error}"
        if not problem or time.monotonic() > end:
            return problem
        if problem != seen:
            print(f"waiting: {problem}", flush=True)
        seen = problem
        time.sleep(1)


def make(keys: dict[str, str], given: bool = False) -> str | None:
    """Make what may be made; what is wrong, or None."""
    namespace = (TOKEN / "namespace").read_text()
    path = f"/api/v1/namespaces/{namespace}/secrets"
    status, found = ask(f"{path}/{NAME}")
    if status == 404:
        if known := [key for key in keys if given or keys[key] == "given"]:
            return (
                f"there is no Secret {NAME}, and only its owner knows {', '.join(known)}: make it with these keys, as "
                f"kubectl -n {namespace} create secret generic {NAME} --from-file=<folder>. The others are made."
            )
        labels = {"app.kubernetes.io/part-of": "django-celery-stack", "app.kubernetes.io/managed-by": "make-secrets"}
        body = {"metadata": {"name": NAME, "labels": labels}, "stringData": values(keys, namespace)}
        status, found = ask(path, {"apiVersion": "v1", "kind": "Secret"} | body)
        if status == 201:
            print(f"made the Secret {NAME} with {len(keys)} keys")
            return None
    if status != 200:
        return f"the API server answers {status}: {found.get('message')}"
    there = found.get("data") or {}
    missing = [key for key in keys if key not in there]
    can = [key for key in missing if not given and keys[key] == "random"]
    owner = owner_of(found)
    if can and not owner:
        # Refused where somebody changed it meanwhile: what another wrote is never written over.
        version = {"resourceVersion": found["metadata"]["resourceVersion"]}
        status, found = ask(f"{path}/{NAME}", {"metadata": version, "stringData": values(can, namespace)}, "PATCH")
        if status != 200:
            return f"the API server answers {status}: {found.get('message')}"
        print(f"added to the Secret {NAME}: {', '.join(can)}", flush=True)
        missing = [key for key in missing if key not in can]
    return lacks(keys, missing, owner, namespace) or empty(keys, there)


def values(keys: object, namespace: str) -> dict[str, str]:
    """A random text for each key; the name of Redis has the prefix or suffix that this Job's own name was given."""
    made = {key: secrets.token_urlsafe(50) for key in keys}
    if ADDRESS in made:
        redis = os.environ["ACCOUNT"].replace("make-secrets", "redis")
        made[ADDRESS] = f"{redis}.{namespace}.svc:6379"
    return made


def owner_of(found: dict) -> str:
    """Who writes this Secret, or an empty text: where somebody does, nobody else may."""
    if found.get("immutable"):
        return "immutable"
    about = found["metadata"]
    for owner in about.get("ownerReferences") or ():
        return f"written by {owner['kind']} {owner['name']}"
    labels = about.get("labels") or {}
    if (manager := labels.get("app.kubernetes.io/managed-by", "make-secrets")) != "make-secrets":
        return f"written by {manager}"
    marks = [key for key in (*labels, *(about.get("annotations") or ())) if key.partition("/")[0].endswith(WRITERS)]
    return f"written by another, says its {marks[0]}" if marks else ""


def lacks(keys: dict[str, str], missing: list[str], owner: str, namespace: str) -> str | None:
    """In words what is missing and who can add it, or None."""
    if not missing:
        return None
    text = f"the Secret {NAME} lacks {', '.join(missing)}"
    free = [key for key in missing if keys[key] == "random"]
    hint = f" Any long random text will do for {', '.join(free)}." if free else ""
    if owner:
        return f"{text}. It is {owner}, so nothing is written to it: add them there, and keep what it has.{hint}"
    patch = json.dumps({"stringData": dict.fromkeys(missing, "...")})
    return f"{text}. Only you know them: kubectl -n {namespace} patch secret {NAME} -p '{patch}'.{hint}"


def empty(keys: dict[str, str], there: dict) -> str | None:
    """In words which keys hold nothing, or None: an empty password opens nothing, but what is there is not changed."""
    found = [key for key in keys if key in there and not base64.b64decode(there[key]).strip()]
    if found:
        return f"in the Secret {NAME} these are empty: {', '.join(found)}. Give them a value"
    print(f"the Secret {NAME} has all {len(keys)} keys")
    return None


if __name__ == "__main__":
    sys.exit(main())
