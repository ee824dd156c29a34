"""Make the random secrets, once: `python -m stack.ops.secretfiles <folder> [--containers <own>]`.

One folder a service, so that each service can be given its own and no other. A file that is there is kept.
Redis gets hashes only: `redis/users.acl`, made anew from the passwords each time; so does the cache.

--containers <own>        for compose: files 0400 of the user who reads them; a file of <own> wins over a random one
--rotate <service/name>   a new one in place of this one; Redis goes on taking the old passwords too
--finish <service/name>   Redis takes the new one only
--list                    the names of all secrets

`python -m stack.ops.secretfiles --cluster-acl` prints k8s/base/users.acl; `--cluster-cache-acl` that of the cache.
"""

import argparse
import sys
from pathlib import Path

from stack.ops.secretfiles.acl import cluster_acl, cluster_cache_acl
from stack.ops.secretfiles.store import finish, is_kept, listed, make, operators, rotate


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(
        prog="python -m stack.ops.secretfiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--cluster-acl", action="store_true")
    parser.add_argument("--cluster-cache-acl", action="store_true")
    parser.add_argument("--containers", type=Path, metavar="own")
    parser.add_argument("--rotate", metavar="service/name")
    parser.add_argument("--finish", metavar="service/name")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.cluster_acl or options.cluster_cache_acl:
        print(cluster_acl() if options.cluster_acl else cluster_cache_acl(), end="")
    elif options.folder is None:
        parser.error("the following arguments are required: folder")
    elif options.list:
        print("\n".join(listed(options.folder)))
    else:
        try:
            change(options.folder, options.containers, options.rotate, options.finish)
        except ValueError as error:
            sys.exit(f"secrets: {error}")


def change(folder: Path, chosen: Path | None, to_rotate: str | None, to_finish: str | None) -> None:
    """Rotate, finish, make what is missing, and say what was made.

    Raises:
        ValueError: there is no such secret, or it is the operator's own and was not changed.
    """
    replaced: list[str] = []
    if to_rotate and chosen and (own := is_kept(folder, chosen, to_rotate)):
        raise ValueError(f"{to_rotate} is your own: change docker/secrets/{own.relative_to(chosen)} first")
    if to_rotate and not (chosen and operators(chosen, to_rotate)):
        replaced = rotate(folder, to_rotate)
    if to_finish:
        finish(folder, to_finish, chosen)
    for file in replaced + make(folder, chosen):
        print(f"made {file}")


if __name__ == "__main__":
    main()
