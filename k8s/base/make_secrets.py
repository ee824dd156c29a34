"""Make the Secret app-secrets with random values, unless there is one. Runs once, as a Job; see secrets.yaml."""

import http.client
import json
import secrets
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

TOKEN = Path("/run/token")
API = "https://kubernetes.default.svc"
# What the pods read. Roles have a Redis user each; `keda` may only read the length of queues.
KEYS = (
    *("secret_key", "api_token", "flower_password", "database_password", "postgres_password"),
    *(f"{user}_redis_password" for user in ("web", "worker", "beat", "flower", "keda", "admin")),
    "cache_password",
)
# Of a component: a Secret of somebody's own, or of an older version, may do without.
OPTIONAL = ("cache_password",)


def ask(path: str, body: object = None) -> tuple[int, dict]:
    """The status and the answer of the API server."""
    request = urllib.request.Request(  # noqa: S310 (the address is a constant)
        API + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {(TOKEN / 'token').read_text()}", "Content-Type": "application/json"},
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
    """What is wrong, or None. The API server may not answer, or not in JSON, in the first moments of a pod."""
    end = time.monotonic() + within
    while True:
        try:
            return make()
        except (OSError, ValueError, http.client.HTTPException) as error:
            if time.monotonic() > end:
                return f"the API server does not answer: {error}"
            time.sleep(1)


def make() -> str | None:
    """Make the Secret if it is not there; what is wrong, or None."""
    namespace = (TOKEN / "namespace").read_text()
    path = f"/api/v1/namespaces/{namespace}/secrets"
    name = "app-secrets"
    status, found = ask(f"{path}/{name}")
    if status == 404:
        values = {key: secrets.token_urlsafe(50) for key in KEYS}
        # No secret, but KEDA reads it beside its password: it is in another namespace and needs to know ours.
        values["keda_redis_address"] = f"redis.{namespace}.svc:6379"
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
        status, found = ask(path, body)
        if status == 201:
            print(f"made the Secret app-secrets with {len(KEYS)} random values")
            return None
        if status == 409:  # somebody made it in this very moment
            status, found = ask(f"{path}/{name}")
    if status != 200:
        return f"the API server answers {status}: {found.get('message')}"
    if missing := [key for key in KEYS if key not in (*found.get("data", {}), *OPTIONAL)]:
        return f"the Secret app-secrets is there and lacks {', '.join(missing)}: add them, or delete it"
    print("the Secret app-secrets is there: nothing to do")
    return None


if __name__ == "__main__":
    sys.exit(main())
