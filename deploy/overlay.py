"""A folder for what is yours on a cluster: `make overlay NAME=shop` makes k8s/overlays/shop of the example.

python3 deploy/overlay.py shop
"""

import re
import sys

from checkout import PROJECT, Stop

OVERLAYS = PROJECT / "k8s" / "overlays"
EXAMPLE = OVERLAYS / "example"


def checked(name: str) -> str:
    """The name, which is a folder's and a namespace's too.

    Raises:
        Stop: it is none that a namespace can have, or is taken; nothing was changed.
    """
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,51}[a-z0-9])?", name):
        raise Stop(
            f"NAME={name!r} cannot be the name of a namespace: small letters, digits and dashes, a letter first, "
            "no dash last, 53 characters at most. For example: make overlay NAME=shop"
        )
    if (OVERLAYS / name).exists() or (OVERLAYS / name).is_symlink():
        raise Stop(f"k8s/overlays/{name} is there already, and stays as it is: edit it, or take another NAME")
    return name


def make(name: str) -> None:
    """Copy the example: its namespace and the names that it proposes are the new folder's."""
    texts = {path: path.read_text() for path in sorted(EXAMPLE.rglob("*.yaml"))}
    for path, text in texts.items():
        # "shop" first: the name may have that in it, as `myshop`.
        named = text.replace("shop", name).replace("overlays/example", f"overlays/{name}")
        file = OVERLAYS / name / path.relative_to(EXAMPLE)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(named.replace("namespace: django-celery-stack\n", f"namespace: {name}\n", 1))


def main() -> None:
    try:
        make(name := checked(sys.argv[1] if sys.argv[1:] else ""))
    except (Stop, OSError) as reason:
        sys.exit(str(reason))
    print(f"""k8s/overlays/{name}/kustomization.yaml is yours: say there what is different for you, then

  kubectl kustomize k8s/overlays/{name}                       look at what would be made
  make up TARGET=k8s OVERLAY=k8s/overlays/{name}              or: kubectl apply -k k8s/overlays/{name}
""")


if __name__ == "__main__":
    main()
