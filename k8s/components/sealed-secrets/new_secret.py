"""Print a new Secret with a value for each key that an overlay's pods read: random, or from KEY=FILE.

kubectl kustomize OVERLAY | python3 new_secret.py [--values] [KEY=FILE ...]

The keys are those of the ConfigMap secret-keys, and so are their kinds: one that is `given` has to be given. With
--values the output is one JSON object of keys and values, for a vault; otherwise a Secret, for kubeseal.
"""

import json
import re
import secrets
import sys
from pathlib import Path


def keys_of(manifests: str) -> tuple[str, str, dict[str, str]]:
    """Of the ConfigMap secret-keys, in what kustomize prints: name, namespace and data. Nothing else is needed."""
    for text in re.split(r"^---$", manifests, flags=re.MULTILINE):
        name = re.search(r"^  name: (\S*secret-keys\S*)$", text, re.MULTILINE)
        if name and re.search(r"^kind: ConfigMap$", text, re.MULTILINE):
            space = re.search(r"^  namespace: (\S+)$", text, re.MULTILINE)
            data = re.search(r"^data:\n((?:  .*\n)+)", text, re.MULTILINE)
            pairs = re.findall(r"^  (\S+): (\w+)$", data[1], re.MULTILINE) if data else []
            return name[1], space[1] if space else "default", dict(pairs)
    sys.exit("no ConfigMap secret-keys in what was read: pipe in `kubectl kustomize k8s/overlays/<yours>`")


def main(arguments: list[str]) -> None:
    """Read the manifests, and print the Secret or its values."""
    own = dict(word.split("=", 1) for word in arguments if "=" in word)
    name, namespace, keys = keys_of(sys.stdin.read())
    if unknown := [key for key in own if key not in keys]:
        sys.exit(f"{', '.join(unknown)}: not in the ConfigMap secret-keys, which has {', '.join(keys)}")
    if missing := [key for key, kind in keys.items() if kind != "random" and key not in own]:
        sys.exit(f"only you know {', '.join(missing)}: add {' '.join(f'{key}=FILE' for key in missing)}")
    values = {key: secrets.token_urlsafe(50) for key in keys}
    if "keda_redis_address" in values:  # no secret, but KEDA reads it beside its password
        values["keda_redis_address"] = f"{name.replace('secret-keys', 'redis')}.{namespace}.svc:6379"
    values |= {key: Path(file).read_text().rstrip("\n") for key, file in own.items()}
    about: dict[str, object] = {"name": name.replace("secret-keys", "app-secrets"), "namespace": namespace}
    about["labels"] = {"app.kubernetes.io/part-of": "django-celery-stack"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": about, "stringData": values}
    print(json.dumps(values if "--values" in arguments else secret, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
