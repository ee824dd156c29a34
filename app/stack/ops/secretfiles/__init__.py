"""The random secrets of the stack, in files: what each service has, and their rotation. `__main__.py` has the verbs."""

from stack.ops.secretfiles.acl import acl, cache_acl, cluster_acl, cluster_cache_acl
from stack.ops.secretfiles.store import CONTAINER_FILES, FILES, listed, make, rotate

__all__ = [
    "CONTAINER_FILES",
    "FILES",
    "acl",
    "cache_acl",
    "cluster_acl",
    "cluster_cache_acl",
    "listed",
    "make",
    "rotate",
]
